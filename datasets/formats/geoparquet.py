"""GeoParquet: WKB geometries of one column, and the properties asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyproj import CRS

from datasets.findings import Findings, reject
from datasets.formats import crs as systems
from datasets.formats import parquet
from datasets.formats.columns import numbers
from datasets.formats.geojson import strict_json
from datasets.formats.layer import MAX_VERTICES, Layer, Wanted, parse_wkb
from datasets.formats.wkb import from_pages, from_wkb

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
MAX_WKB = 32 << 20
_HINT = "Write it with geopandas (to_parquet) or GDAL, with WKB geometries."


def read_geoparquet(path: Path, wanted: Wanted, found: Findings) -> Layer:
    """The features of the primary geometry column.

    Raises:
        Rejected: the file is no GeoParquet, or has more than ``limit`` features.
    """
    file = parquet.open_parquet(path)
    if file.metadata.num_rows > wanted.limit:
        raise reject(
            "too-many-features",
            f"The file has {file.metadata.num_rows} features; {wanted.limit} are allowed.",
            hint="Keep the best ones.",
        )
    columns = [field.name for field in file.schema_arrow]
    primary, crs = _geo(file)
    names = [primary, *(name for name in wanted.names if name in columns)]
    if parquet.check_names(columns, names, found) != names:
        found.stop_if_any()
    kind = file.schema_arrow.field(primary).type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise reject("unsupported", "The geometry column is not WKB.", hint=_HINT)
    made = from_pages(path, file, primary, MAX_VERTICES) if wanted.geometry == "polygons" else None
    read = names if made is None else names[1:]
    texts = [name for name in read if name == primary or _is_text(file, name)]
    table = parquet.load(parquet.open_parquet(path, dictionaries=texts), read) if read else None
    properties = {name: _property(table.column(name), name, found) for name in names[1:]} if table else {}
    if made is None and table and wanted.geometry == "polygons":
        made = from_wkb(_texts(table.column(primary)), MAX_VERTICES)
    if made is not None or table is None:
        return Layer(crs, ragged=made, properties=properties, names=columns, local=crs is None)
    shapes = parse_wkb(_blobs(table.column(primary)))
    for i in [i for i, shape in enumerate(shapes) if shape is None][:50]:
        found.add("invalid-geometry", f"Feature {i} has no geometry that can be read.", {"feature": i}, hint=_HINT)
    return Layer(crs, shapes=shapes, properties=properties, names=columns, local=crs is None)


def _geo(file: pq.ParquetFile) -> tuple[str, CRS | None]:
    """Primary column and CRS; an absent ``crs`` is longitude and latitude, a null one is local."""
    text = (file.metadata.metadata or {}).get(b"geo")
    if text is None:
        raise reject("wrong-format", "The Parquet file has no geo metadata.", hint=_HINT)
    geo = strict_json(text)
    primary = geo.get("primary_column") if isinstance(geo, dict) else None
    columns = geo.get("columns") if isinstance(geo, dict) else None
    about = columns.get(primary) if isinstance(columns, dict) and isinstance(primary, str) else None
    if not isinstance(primary, str) or not isinstance(about, dict):
        raise reject("unreadable", "The geo metadata does not describe a primary column.", hint=_HINT)
    if about.get("encoding") != "WKB":
        raise reject("unsupported", "Geometries are not encoded as WKB.", hint=_HINT)
    if about.get("edges", "planar") != "planar":
        raise reject("unsupported", "Edges are not planar.", hint=_HINT)
    if "crs" not in about:
        return primary, systems.from_epsg(4326)
    return primary, None if about["crs"] is None else systems.from_projjson(about["crs"])


def _is_text(file: pq.ParquetFile, name: str) -> bool:
    kind = file.schema_arrow.field(name).type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _texts(column: pa.ChunkedArray) -> list[tuple[Bytes, Ints, Ints]]:
    """The WKB texts of each chunk as they lie in memory; none where a feature is without."""
    found: list[tuple[Bytes, Ints, Ints]] = []
    for chunk in column.chunks:
        kind = chunk.type.value_type if pa.types.is_dictionary(chunk.type) else None
        if kind is None or not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)) or chunk.null_count:
            return []
        texts, index = chunk.dictionary, chunk.indices
        _, places, data = texts.buffers()
        if places is None or data is None or texts.null_count or not pa.types.is_int32(index.type):
            return []
        offsets = np.frombuffer(places, dtype=np.int32 if pa.types.is_binary(kind) else np.int64)
        own = offsets[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        found.append((np.frombuffer(data, dtype=np.uint8), own, index.to_numpy()))
    return found


def _blobs(column: pa.ChunkedArray) -> list[bytes | None]:
    blobs: list[bytes | None] = []
    for chunk in column.chunks:
        values = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
        if len(values) and (pc.max(pc.binary_length(values)).as_py() or 0) > MAX_WKB:
            raise reject("too-many-features", "A geometry is larger than 32 MiB.", hint="Simplify the outlines.")
        if pa.types.is_dictionary(chunk.type):
            pool = values.to_pylist()
            blobs += [None if i is None else pool[i] for i in chunk.indices.to_pylist()]
        else:
            blobs += chunk.to_pylist()
    return blobs


def _property(column: pa.ChunkedArray, name: str, found: Findings) -> Sequence[Any] | npt.NDArray[np.float64]:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = parquet.plain_text(column, name, found)
        return [] if texts is None else list(texts.to_pylist())
    if pa.types.is_integer(kind):
        return list(column.to_pylist())
    if pa.types.is_floating(kind) and not column.null_count:
        return numbers(pc.cast(column, pa.float64(), safe=False))
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return list(pc.cast(column, pa.float64(), safe=False).to_pylist())
    found.add(
        "wrong-type",
        f"The column {name!r} is of type {str(kind)[:60]}.",
        {"column": name},
        hint="Store numbers as float64 and texts as strings.",
    )
    return [0.0] * len(column)

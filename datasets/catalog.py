"""The public description of a release (after the Data Package standard) and previews of its spatial files.

A sponsor's file is hostile until intake has read it, so previews are drawn from what intake hands back. What cannot
be read or drawn is only listed.
"""

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from datasets.canonical import Canonical
from datasets.errors import Rejected
from datasets.expect import Expectation
from datasets.intake import intake
from datasets.manifest import FileEntry
from datasets.preview import Preview, preview
from datasets.release import Layer
from datasets.spec import Spec
from datasets.store import BlobStore

MAX_LAYERS = 24
MAX_LAYER_BYTES = 1 << 30
HEADER_BYTES = 1 << 16
MEDIA_TYPES: Mapping[str, str] = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".nc": "application/x-netcdf",
    ".zip": "application/zip",
    ".md": "text/markdown",
    ".toml": "application/toml",
}
# Ending → what the file may be, tried in this order.
_SPATIAL: Mapping[str, tuple[tuple[str, str], ...]] = {
    ".tif": (("raster", "geotiff"),),
    ".tiff": (("raster", "geotiff"),),
    ".geojson": (("points", "geojson"), ("polygons", "geojson")),
    ".gpkg": (("points", "gpkg"), ("polygons", "gpkg")),
    ".parquet": (("points", "geoparquet"), ("polygons", "geoparquet")),
}
_COORDINATES = ({"x", "y"}, {"lon", "lat"}, {"longitude", "latitude"})


def catalog_of(spec: Spec, files: Sequence[FileEntry], layers: Sequence[Layer]) -> dict[str, Any]:
    """The release as a Data Package document: plain JSON, no time and no path of any machine in it."""
    drawn = {layer.path: layer for layer in layers}
    return {
        "profile": "data-package",
        "name": spec.challenge.slug,
        "title": spec.challenge.title,
        "description": spec.challenge.summary,
        "keywords": list(spec.challenge.tags),
        "resources": [_resource(entry, drawn.get(entry.path)) for entry in sorted(files)],
    }


def layers_of(files: Mapping[str, Path], work: Path, *, store: BlobStore) -> tuple[Layer, ...]:
    """Previews of the public files that have a place on a map, stored as blobs.

    Args:
        files: public files by path in the release.
        work: a folder for canonical forms; they are removed again.

    Raises:
        EngineFault: a reader could not be started.
    """
    work.mkdir(parents=True, exist_ok=True)
    found: list[Layer] = []
    for path, file in files.items():
        if len(found) == MAX_LAYERS:
            break
        if not path.startswith("public/") or file.stat().st_size > MAX_LAYER_BYTES:
            continue
        picture = _picture(file, work)
        if picture is not None:
            found.append(_layer(path, picture, store))
    placed = [layer for layer in found if not layer.local]
    return tuple(placed or found)  # a layer without CRS has no place beside layers that have one


def _resource(entry: FileEntry, layer: Layer | None) -> dict[str, Any]:
    pure = PurePosixPath(entry.path)
    resource: dict[str, Any] = {
        "name": pure.name,
        "path": entry.path,
        "bytes": entry.bytes,
        "hash": f"sha256:{entry.sha256}",
    }
    media_type = MEDIA_TYPES.get(pure.suffix.lower())
    if media_type:
        resource["mediatype"] = media_type
    if layer is not None:
        resource["spatial"] = {"bounds": list(layer.bounds), "local": layer.local}
    return resource


def _layer(path: str, picture: Preview, store: BlobStore) -> Layer:
    pure = PurePosixPath(path)
    return Layer(
        name=pure.stem,
        path=path,
        kind="raster" if picture.media_type == "image/png" else "vector",
        artifact=store.put(io.BytesIO(picture.data)).digest,
        media_type=picture.media_type,
        bounds=picture.bounds,
        description=pure.stem.replace("_", " "),
        local=picture.local,
    )


def _picture(file: Path, work: Path) -> Preview | None:
    for kind, form in _candidates(file):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            canonical = _read(file, kind, form, Path(folder) / "canonical")
            picture = preview(canonical, ranked=False) if canonical is not None else None
        if picture is not None:
            return picture
    return None


def _candidates(file: Path) -> Iterator[tuple[str, str]]:
    if file.suffix.lower() == ".csv":
        if any(pair <= {name.lower() for name in csv_header(file)} for pair in _COORDINATES):
            yield "points", "csv"
        return
    yield from _SPATIAL.get(file.suffix.lower(), ())


def csv_header(file: Path) -> list[str]:
    """Column names of a CSV file; empty when its first line is no header. Reads 64 KiB at most."""
    with file.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    line = head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace")
    try:
        return [name.strip() for name in next(csv.reader([line.rstrip("\r")]), [])]
    except csv.Error:
        return []


def _read(file: Path, kind: str, form: str, out: Path) -> Canonical | None:
    expect = Expectation(kind=kind, role="truth", formats=(form,), max_bytes=MAX_LAYER_BYTES)
    try:
        return intake(file, format=form, expect=expect, out=out)
    except Rejected:
        return None

"""Chunk codecs of Zarr, each with the exact size of what has to come out."""

import base64
import struct
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
from numcodecs import blosc, lz4, zstd

from datasets.canonical import Array
from datasets.findings import reject
from datasets.formats.columns import TEXT_LIMIT

CODECS = frozenset(("zlib", "gzip", "zstd", "lz4", "blosc"))


def unpack(codec: str, data: bytes, size: int) -> bytes:
    """Decompress ``data``, which has to give exactly ``size`` bytes.

    Raises:
        Rejected: it is damaged or gives another size.
    """
    try:
        result = _unpack(codec, data, size)
    except (zlib.error, pa.ArrowException, RuntimeError, ValueError, OSError, struct.error) as error:
        raise reject("unreadable", "A chunk cannot be decompressed.", hint="Write the file again.") from error
    if len(result) != size:
        raise reject(
            "suspicious-structure", "A chunk does not have the size its array says.", hint="Write the file again."
        )
    return result


def unpack_into(codec: str, data: bytes, out: Array) -> None:
    """The same straight into ``out``, an array of bytes of the exact size, where the codec can; else through a copy.

    Raises:
        Rejected: as ``unpack``.
    """
    if codec == "zstd" and zstd_size(data) == out.size:
        try:
            zstd.decompress(data, out)
        except (RuntimeError, ValueError) as error:
            raise reject("unreadable", "A chunk cannot be decompressed.", hint="Write the file again.") from error
    else:
        out[:] = np.frombuffer(unpack(codec, data, out.size), dtype=np.uint8)


def zstd_size(data: bytes) -> int | None:
    """The content size in a zstd frame header (RFC 8878, 3.1.1.1); None where there is no such frame."""
    if len(data) < 6 or data[:4] != b"\x28\xb5\x2f\xfd":
        return None
    flag = data[4] >> 6
    single = data[4] >> 5 & 1
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[data[4] & 3]
    width = (1 if single else 0, 2, 4, 8)[flag]
    return int.from_bytes(data[start : start + width], "little") + (256 if flag == 1 else 0)


def _unpack(codec: str, data: bytes, size: int) -> bytes:
    if codec in {"zlib", "gzip"}:
        return zlib.decompressobj(47).decompress(data, size + 1)
    if codec == "zstd":
        return bytes(pa.Codec("zstd").decompress(data, decompressed_size=size, asbytes=True))
    if codec == "lz4":
        if int.from_bytes(data[:4], "little") != size:
            raise ValueError("the size before the LZ4 block does not fit the chunk")
        return bytes(lz4.decompress(data))  # Arrow's would leave what a shorter block does not fill as memory was
    if codec == "blosc":
        claimed, _, packed = struct.unpack_from("<III", data, 4)
        if claimed != size or packed != len(data):
            raise ValueError("the Blosc header does not fit the chunk")
        return bytes(blosc.decompress(data))
    raise reject("unsupported", f"The codec {codec[:40]!r} is not taken.", hint="Use gzip, zstd, lz4 or blosc.")


def texts(data: bytes, count: int) -> list[str]:
    """The ``count`` strings of a vlen-utf8 chunk: a uint32 count, then length and bytes of each.

    Raises:
        Rejected: the lengths do not fit the bytes.
    """
    values = []
    place = 4
    if len(data) < 4 or struct.unpack_from("<I", data)[0] != count:
        raise reject("unreadable", "A chunk of texts is damaged.", hint="Write the file again.")
    for _ in range(count):
        if place + 4 > len(data):
            raise reject("unreadable", "A chunk of texts is damaged.", hint="Write the file again.")
        (length,) = struct.unpack_from("<I", data, place)
        if length > TEXT_LIMIT or place + 4 + length > len(data):
            raise reject("text-too-long", f"A label is longer than {TEXT_LIMIT} bytes, or cut short.")
        values.append(data[place + 4 : place + 4 + length].decode("utf-8", "replace"))
        place += 4 + length
    return values


def fill_value(value: Any, dtype: np.dtype[Any] | None) -> Any:
    """The ``_FillValue`` attribute as a number; xarray stores it as base64 of the little-endian bytes."""
    if isinstance(value, str) and dtype is not None:
        try:
            raw = base64.b64decode(value, validate=True)
            return (
                np.frombuffer(raw, dtype=dtype.newbyteorder("<"))[0].item()
                if len(raw) == dtype.itemsize
                else float(value)
            )
        except ValueError:
            return {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.get(value)
    return value if type(value) in (int, float) else None

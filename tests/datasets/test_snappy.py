"""Snappy unpacked by compiled loops: the same bytes as the stock decoder, and the same texts refused."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.formats.snappy_loops import TAGS, unsnap

CODEC = pa.Codec("snappy")
GUARD = 64


def ours(body: bytes, size: int) -> bytes | None:
    """What the tags of ``body`` unpack to; nothing outside its room may be written."""
    raw, room = np.frombuffer(body + b"\xff" * GUARD, np.uint8), np.full(size + 2 * GUARD, 0xAA, np.uint8)
    good = unsnap(raw.ctypes.data, 0, len(body), room.ctypes.data + GUARD, size, TAGS)
    assert (room[:GUARD] == 0xAA).all()
    assert (room[GUARD + size :] == 0xAA).all()
    return room[GUARD : GUARD + size].tobytes() if good else None


def theirs(body: bytes, size: int) -> bytes | None:
    try:
        return bytes(CODEC.decompress(head(size) + body, size, asbytes=True))
    except (OSError, pa.ArrowException):
        return None


def head(size: int) -> bytes:
    """A length as Snappy writes it."""
    found = bytearray()
    while size > 127:
        found.append(size & 127 | 128)
        size >>= 7
    return bytes(found) + bytes([size])


@st.composite
def texts(draw: Any) -> bytes:
    """Bytes that repeat themselves, near and far, in short and long stretches."""
    found = bytearray(draw(st.binary(max_size=40)))
    for _ in range(draw(st.integers(0, 40))):
        if found and draw(st.booleans()):
            start, length = draw(st.integers(0, len(found) - 1)), draw(st.integers(1, 90))
            for i in range(length):
                found.append(found[start + i])
        else:
            found += draw(st.binary(max_size=6)) * draw(st.sampled_from([1, 1, 2, 30]))
    return bytes(found) * draw(st.sampled_from([1, 1, 1, 40, 3000]))


@st.composite
def tags(draw: Any) -> tuple[bytes, int]:
    """Tags in any order, and the length they come to if they are sound."""
    body, size = bytearray(), 0
    for _ in range(draw(st.integers(0, 30))):
        kind, length = draw(st.integers(0, 3)), draw(st.integers(1, 64))
        near = draw(st.sampled_from([1, 3, 7, 8, 9, 15, 16, 17, max(size, 1), size + 1, draw(st.integers(0, 300))]))
        if kind == 0:
            data = draw(st.binary(min_size=length, max_size=length))
            body += (bytes([(length - 1) << 2]) if length <= 60 else bytes([60 << 2, length - 1])) + data
        elif kind == 1:
            length = 4 + (length - 1) % 8
            body += bytes([1 | (length - 4) << 2 | (near >> 8) << 5, near & 255])
        else:
            body += bytes([kind | (length - 1) << 2]) + near.to_bytes(2 if kind == 2 else 4, "little")
        size += length
    return bytes(body), size


@settings(deadline=None, max_examples=150)
@given(text=texts(), cut=st.integers(0, 3), longer=st.integers(-2, 2))
def test_texts_come_out_as_they_went_in(text: bytes, cut: int, longer: int) -> None:
    packed = CODEC.compress(text, asbytes=True)
    body = packed[len(head(len(text))) :]
    assert ours(body, len(text)) == text
    shorter, size = body[: len(body) - cut], max(len(text) + longer, 0)
    assert ours(shorter, size) == theirs(shorter, size)


@settings(deadline=None, max_examples=300)
@given(given_=tags(), longer=st.sampled_from([0, 0, 0, 1, -1, 20]))
def test_any_tags_are_read_as_the_stock_decoder_reads_them(given_: tuple[bytes, int], longer: int) -> None:
    body, size = given_
    assert ours(body, max(size + longer, 0)) == theirs(body, max(size + longer, 0))


@settings(deadline=None, max_examples=150)
@given(text=texts(), strikes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_texts_are_refused_alike(text: bytes, strikes: list[tuple[int, int]]) -> None:
    body = bytearray(CODEC.compress(text, asbytes=True)[len(head(len(text))) :])
    for place, byte in strikes:
        if body:
            body[place % len(body)] = byte
    assert ours(bytes(body), len(text)) == theirs(bytes(body), len(text))


@pytest.mark.parametrize("length", [1, 60, 61, 256, 257, 65536, 65537, 70_000])
def test_literals_of_any_length(length: int) -> None:
    data, count = np.random.default_rng(length).bytes(length), (length - 1).bit_length() + 7 >> 3 or 1
    mark = bytes([(length - 1) << 2]) if length <= 60 else bytes([(59 + count) << 2])
    body = mark + ((length - 1).to_bytes(count, "little") if length > 60 else b"") + data
    assert ours(body, length) == theirs(body, length) == data
    assert ours(body[:-1], length) is None

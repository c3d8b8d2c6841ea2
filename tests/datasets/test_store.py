"""Blobs: nothing half written is ever visible, and nothing changed goes unseen."""

import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import store as store_module
from datasets.errors import BlobNotFound, IntegrityError, TooLarge
from datasets.store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "blobs")


def _files(store: LocalStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=5000))
def test_a_blob_is_read_back_under_its_sha256(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    blob = store.put(io.BytesIO(data))
    assert blob.digest == hashlib.sha256(data).hexdigest()
    assert blob.size == store.size(blob.digest) == len(data)
    with store.open(blob.digest) as stream:
        assert stream.read() == data
    store.verify(blob.digest)
    assert list(store.digests()) == [blob.digest]


def test_the_same_bytes_twice_are_one_blob(store: LocalStore) -> None:
    assert store.put(io.BytesIO(b"gold")) == store.put(io.BytesIO(b"gold"))
    assert len(_files(store)) == 1


def test_the_same_bytes_from_many_threads_are_one_whole_blob(store: LocalStore) -> None:
    data = b"gold" * 500_000
    with ThreadPoolExecutor(8) as pool:
        blobs = set(pool.map(lambda _: store.put(io.BytesIO(data)), range(16)))
    assert len(blobs) == len(_files(store)) == 1
    store.verify(blobs.pop().digest)


def test_a_blob_is_spread_over_folders_and_is_read_only(store: LocalStore) -> None:
    blob = store.put(io.BytesIO(b"gold"))
    path = store.path(blob.digest)
    assert path == store.root / blob.digest[:2] / blob.digest[2:4] / blob.digest
    assert path is not None
    assert path.stat().st_mode & 0o222 == 0


def test_a_stream_beyond_the_limit_leaves_nothing(store: LocalStore) -> None:
    with pytest.raises(TooLarge) as caught:
        store.put(io.BytesIO(b"x" * 11), max_bytes=10)
    assert caught.value.limit == 10
    assert _files(store) == []
    assert store.put(io.BytesIO(b"x" * 10), max_bytes=10).size == 10


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64, "0" * 64 + "\n"])
def test_what_is_not_stored_is_not_found(store: LocalStore, digest: str) -> None:
    assert not store.exists(digest)
    for ask in (store.open, store.size, store.path, store.verify):
        with pytest.raises(BlobNotFound):
            ask(digest)


def test_a_flipped_bit_is_found(store: LocalStore) -> None:
    blob = store.put(io.BytesIO(b"gold and silver"))
    path = store.path(blob.digest)
    assert path is not None
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match=blob.digest):
        store.verify(blob.digest)
    store.put(io.BytesIO(b"gold and silver"))
    store.verify(blob.digest)


def test_a_deleted_blob_is_gone(store: LocalStore) -> None:
    blob = store.put(io.BytesIO(b"gold"))
    store.delete(blob.digest)
    store.delete(blob.digest)
    assert not store.exists(blob.digest)


class _Broken(io.RawIOBase):
    """Hands out some bytes, then the connection is gone."""

    def __init__(self) -> None:
        self.left = 3

    def read(self, size: int = -1, /) -> bytes:
        self.left -= 1
        if self.left == 0:
            raise ConnectionResetError("gone")
        return b"x" * 1000


def test_an_upload_that_breaks_off_leaves_nothing(store: LocalStore) -> None:
    with pytest.raises(ConnectionResetError):
        store.put(_Broken())
    assert _files(store) == []


class _PowerCut(BaseException):
    """Ends the process on the spot: no handler and no clean-up is meant to see it."""


@pytest.mark.parametrize("at", ["fsync", "replace", "unlink"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_crash_at_any_point_leaves_the_whole_blob_or_none(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, at: str, call: int
) -> None:
    data, calls = b"gold" * 1000, 0
    owner = os if at == "fsync" else Path
    real = getattr(owner, at)

    def cut(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise _PowerCut
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, at, cut)
        patch.setattr(store_module.Path, "unlink", cut if at == "unlink" else lambda *a, **k: None)
        try:
            store.put(io.BytesIO(data))
            survived = True
        except _PowerCut:
            survived = False
    digest = hashlib.sha256(data).hexdigest()
    assert survived or calls == call
    if survived:
        assert store.exists(digest)
    if store.exists(digest):
        store.verify(digest)
    again = LocalStore(store.root).put(io.BytesIO(data))
    store.verify(again.digest)


def test_a_failed_sync_is_an_error_and_stores_nothing(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        store.put(io.BytesIO(b"gold"))
    assert _files(store) == []


def test_leftovers_of_crashes_are_swept_and_uploads_in_progress_are_not(store: LocalStore) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    for name, age in (("old", 48), ("new", 1)):
        path = store.root / store_module.TEMPORARY / name
        path.write_bytes(b"part")
        stamp = (now - timedelta(hours=age)).timestamp()
        os.utime(path, (stamp, stamp))
    assert store.sweep(now=now, older_than=timedelta(hours=24)) == 1
    assert [path.name for path in _files(store)] == ["new"]

"""Truth packages: the same truth is the same package, and a seal opens only whole, with its key and commitment."""

import io
import json
import stat
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.canonical import Canonical
from datasets.errors import BlobNotFound, VaultError
from datasets.sealing import generate_keys, seal
from datasets.store import Blob, LocalStore
from datasets.truth.package import (
    MAGIC,
    Opening,
    commit,
    decrypt,
    open_truth,
    pack,
    package_digest,
    seal_truth,
    verify_commitment,
)
from datasets.truth.vault import Vault

IDENTITY, RECIPIENT = generate_keys()
SALT = bytes(range(32))


def _truth(folder: Path, *, grid: bool = False, first: float = 1.0) -> Path:
    arrays = {"value.grade": np.array([first, 2.0, 3.0]), "id.0": np.array([7, 8, 9])}
    Canonical("table", arrays, {"rows": 3}).write(folder / "truth")
    if grid:
        Canonical("raster", {"band": np.ones((2, 3))}, {"crs": None}).write(folder / "grid")
    return folder


def _sealed(folder: Path, **options: object) -> tuple[bytes, Opening]:
    target = io.BytesIO()
    opening = seal_truth(_truth(folder, **options), target, RECIPIENT, salt=SALT)  # type: ignore[arg-type]
    return target.getvalue(), opening


def test_the_package_depends_on_the_truth_alone(tmp_path: Path) -> None:
    one, two = io.BytesIO(), io.BytesIO()
    pack(_truth(tmp_path / "a", grid=True), one)
    other = _truth(tmp_path / "b" / "elsewhere", grid=True)
    for path in other.rglob("*.npy"):
        path.chmod(0o600)
    (other / "truth" / "9.npy").write_bytes(b"left behind by a reader")
    pack(other, two)
    assert one.getvalue() == two.getvalue()
    with tarfile.open(fileobj=io.BytesIO(one.getvalue())) as archive:
        names = archive.getnames()
        assert names == sorted(names[:-2]) + names[-2:]
        assert {member.mtime for member in archive} == {0}


def test_another_value_is_another_package(tmp_path: Path) -> None:
    assert package_digest(_truth(tmp_path / "a")) != package_digest(_truth(tmp_path / "b", first=1.0000001))


@pytest.mark.parametrize("grid", [False, True])
def test_what_was_sealed_is_what_is_opened(tmp_path: Path, grid: bool) -> None:
    data, opening = _sealed(tmp_path / "in", grid=grid)
    truth = open_truth(io.BytesIO(data), IDENTITY, tmp_path / "out", commitment=opening.commitment)
    assert truth.truth.arrays["value.grade"].tolist() == [1.0, 2.0, 3.0]
    assert truth.truth.attrs == {"rows": 3}
    assert (truth.grid is not None) == grid
    assert truth.digest == opening.digest == package_digest(tmp_path / "in")
    assert truth.commitment == opening.commitment == commit(SALT, opening.digest)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700


def test_a_commitment_holds_for_one_truth_and_one_salt() -> None:
    opening = Opening("ab" * 32, SALT.hex())
    assert verify_commitment(opening.commitment, opening)
    assert not verify_commitment(opening.commitment, Opening("ac" * 32, SALT.hex()))
    assert not verify_commitment(opening.commitment, Opening("ab" * 32, SALT[::-1].hex()))


def test_the_salt_is_new_for_each_seal(tmp_path: Path) -> None:
    folder = _truth(tmp_path)
    first, second = (seal_truth(folder, io.BytesIO(), RECIPIENT) for _ in range(2))
    assert first.digest == second.digest
    assert first.commitment != second.commitment


def test_another_key_does_not_open(tmp_path: Path) -> None:
    data, _ = _sealed(tmp_path / "in")
    with pytest.raises(VaultError, match="another key"):
        open_truth(io.BytesIO(data), generate_keys()[0], tmp_path / "out")


@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(tmp_path_factory: pytest.TempPathFactory, where: float, bit: int) -> None:
    folder = tmp_path_factory.mktemp("flip")
    data, opening = _sealed(folder / "in")
    damaged = bytearray(data)
    damaged[int(where * len(data))] ^= 1 << bit
    with pytest.raises(VaultError):
        open_truth(io.BytesIO(bytes(damaged)), IDENTITY, folder / "out", commitment=opening.commitment)


@pytest.mark.parametrize("keep", [0, 50, 300, -1])
def test_a_cut_seal_is_refused(tmp_path: Path, keep: int) -> None:
    data, _ = _sealed(tmp_path / "in")
    with pytest.raises(VaultError):
        open_truth(io.BytesIO(data[:keep]), IDENTITY, tmp_path / "out")


def test_another_truth_than_the_one_committed_to_is_refused(tmp_path: Path) -> None:
    data, _ = _sealed(tmp_path / "in", first=5.0)
    _, other = _sealed(tmp_path / "other")
    with pytest.raises(VaultError, match="not the one committed to"):
        open_truth(io.BytesIO(data), IDENTITY, tmp_path / "out", commitment=other.commitment)


def _tar(name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return target.getvalue()


@pytest.mark.parametrize(
    "package",
    [
        _tar("../escape.npy"),
        _tar("/tmp/escape.npy"),
        _tar("truth/../../escape.npy"),
        _tar("truth/.hidden.npy"),
        _tar("truth/link.npy", tarfile.SYMTYPE),
        _tar("truth/link.npy", tarfile.LNKTYPE),
        _tar("truth/pipe.npy", tarfile.FIFOTYPE),
        _tar("other/meta.json"),
        b"no tar at all",
        b"",
    ],
)
def test_a_seal_with_foreign_content_writes_nothing_outside(tmp_path: Path, package: bytes) -> None:
    sealed = io.BytesIO()
    seal(io.BytesIO(MAGIC + SALT + package), sealed, RECIPIENT)
    sealed.seek(0)
    with pytest.raises(VaultError):
        open_truth(sealed, IDENTITY, tmp_path / "room" / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()] == []


def test_any_seal_opens_with_its_key_alone() -> None:
    sealed, plain = io.BytesIO(), io.BytesIO()
    seal(io.BytesIO(b"a sponsor's draft"), sealed, RECIPIENT)
    decrypt(io.BytesIO(sealed.getvalue()), plain, IDENTITY)
    assert plain.getvalue() == b"a sponsor's draft"
    with pytest.raises(VaultError, match="age identity"):
        decrypt(io.BytesIO(sealed.getvalue()), plain, "AGE-SECRET-KEY-1NONE")


def test_an_unfinished_truth_is_not_sealed(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="no finished truth"):
        seal_truth(tmp_path, io.BytesIO(), RECIPIENT)


# the vault --------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Vault, Blob, Opening, LocalStore]:
    store = LocalStore(tmp_path / "blobs")
    data, opening = _sealed(tmp_path / "in")
    return Vault(tmp_path / "vault", store, IDENTITY), store.put(io.BytesIO(data)), opening, store


def test_the_vault_opens_once_and_reuses(kept: tuple[Vault, Blob, Opening, LocalStore], tmp_path: Path) -> None:
    vault, blob, opening, store = kept
    first = vault.unseal(blob.digest, opening.commitment)
    store.delete(blob.digest)
    second = vault.unseal(blob.digest, opening.commitment)
    assert second.digest == first.digest == opening.digest
    assert second.truth.arrays["id.0"].tolist() == [7, 8, 9]
    assert stat.S_IMODE((tmp_path / "vault").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "vault").iterdir()] == [blob.digest]


def test_many_openings_at_once_end_with_one_folder(
    kept: tuple[Vault, Blob, Opening, LocalStore], tmp_path: Path
) -> None:
    vault, blob, opening, _ = kept
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: vault.unseal(blob.digest, opening.commitment), range(16)))
    assert {truth.digest for truth in opened} == {opening.digest}
    assert all(truth.truth.arrays["id.0"].tolist() == [7, 8, 9] for truth in opened)
    assert [path.name for path in (tmp_path / "vault").iterdir()] == [blob.digest]


def test_a_damaged_vault_folder_is_opened_anew(kept: tuple[Vault, Blob, Opening, LocalStore], tmp_path: Path) -> None:
    vault, blob, opening, _ = kept
    vault.unseal(blob.digest, opening.commitment)
    meta = tmp_path / "vault" / blob.digest / "truth" / "meta.json"
    document = json.loads(meta.read_text())
    document["attrs"] = {"rows": 4}
    meta.chmod(0o600)
    meta.write_text(json.dumps(document))
    assert vault.unseal(blob.digest, opening.commitment).truth.attrs == {"rows": 3}
    next((tmp_path / "vault" / blob.digest / "truth").glob("*.npy")).unlink()
    assert vault.unseal(blob.digest, opening.commitment).truth.arrays["id.0"].tolist() == [7, 8, 9]


def test_an_interrupted_opening_leaves_no_room_behind(
    kept: tuple[Vault, Blob, Opening, LocalStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault, blob, opening, _ = kept
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(VaultError, match="cannot be kept"):
            vault.unseal(blob.digest, opening.commitment)
    assert list((tmp_path / "vault").iterdir()) == []
    assert vault.unseal(blob.digest, opening.commitment).digest == opening.digest


def test_the_vault_refuses_another_commitment_each_time(kept: tuple[Vault, Blob, Opening, LocalStore]) -> None:
    vault, blob, opening, _ = kept
    for _ in range(2):
        with pytest.raises(VaultError, match="not the one committed to"):
            vault.unseal(blob.digest, "0" * 64)
        vault.unseal(blob.digest, opening.commitment)


def test_the_vault_does_not_follow_names(kept: tuple[Vault, Blob, Opening, LocalStore]) -> None:
    vault, _, opening, _ = kept
    with pytest.raises(VaultError):
        vault.unseal("../in", opening.commitment)
    with pytest.raises(BlobNotFound):
        vault.unseal("0" * 64, opening.commitment)


def test_a_forgotten_truth_is_opened_from_its_seal(kept: tuple[Vault, Blob, Opening, LocalStore]) -> None:
    vault, blob, opening, store = kept
    vault.unseal(blob.digest, opening.commitment)
    vault.forget(blob.digest)
    store.delete(blob.digest)
    with pytest.raises(BlobNotFound):
        vault.unseal(blob.digest, opening.commitment)

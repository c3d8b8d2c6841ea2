"""Opened truths, kept by the engine between entries: one folder per seal, readable by its owner alone."""

import json
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from datasets.canonical import META
from datasets.digest import digest_bytes, is_digest
from datasets.errors import IntegrityError, VaultError
from datasets.store import BlobStore, sync_directory
from datasets.truth.package import PARTS, TruthSet, open_truth, read_truth

OPENED = "opened.json"


class Vault:
    """Opens sealed truths of ``store`` with ``identity`` and keeps them under ``root``."""

    def __init__(self, root: Path, store: BlobStore, identity: str) -> None:
        self._root, self._store, self._identity = root, store, identity
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.chmod(0o700)

    def unseal(self, digest: str, commitment: str) -> TruthSet:
        """The truth sealed in the blob ``digest``; opened once, mapped again afterwards.

        Raises:
            BlobNotFound: there is no such blob.
            VaultError: wrong key, damaged seal, or not the truth of ``commitment``.
        """
        if not is_digest(digest):
            raise VaultError("a sealed truth is named by the sha256 of its seal")
        folder = self._root / digest
        kept = _kept(folder, commitment)
        if kept is not None:
            return kept
        self._open(digest, commitment, folder)
        opened = _kept(folder, commitment)
        if opened is None:
            raise VaultError("the opened truth cannot be kept in the vault's folder")
        return opened

    def forget(self, digest: str) -> None:
        """Remove an opened truth; it is opened anew when needed."""
        if is_digest(digest):
            shutil.rmtree(self._root / digest, ignore_errors=True)

    def _open(self, digest: str, commitment: str, folder: Path) -> None:
        work = Path(tempfile.mkdtemp(dir=self._root, prefix="opening-"))
        try:
            with self._store.open(digest) as sealed:
                truth = open_truth(sealed, self._identity, work, commitment=commitment)
            note = {"digest": truth.digest, "commitment": truth.commitment, "metas": _metas(work)}
            (work / OPENED).write_text(json.dumps(note), encoding="utf-8")
            with suppress(OSError):  # another process was faster: its folder holds the same truth
                work.rename(folder)
                sync_directory(self._root)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _metas(folder: Path) -> dict[str, str]:
    """Digests of what describes the truth's own arrays; whatever else is kept in the folder is not the vault's."""
    found = [(f"{part}/{META}", folder / part / META) for part in PARTS]
    return {name: digest_bytes(path.read_bytes()) for name, path in found if path.is_file()}


def _kept(folder: Path, commitment: str) -> TruthSet | None:
    """What an earlier call left in ``folder``; a damaged folder is removed and counts as absent."""
    try:
        note = json.loads((folder / OPENED).read_text(encoding="utf-8"))
        truth = read_truth(folder, digest=note["digest"], commitment=note["commitment"])
        intact = note["metas"] == _metas(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, IntegrityError):
        intact = False
    if not intact:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    if truth.commitment != commitment:
        raise VaultError("the sealed truth is not the one committed to at publication")
    return truth

"""Opened truths, kept by the engine between entries: one folder per seal, readable by its owner alone.

Others may open, replace and remove the same truth at the same time: a folder comes and goes whole, by a rename, and
who has opened one has mapped it before anybody can remove it.
"""

import errno
import json
from pathlib import Path

from datasets.canonical import META
from datasets.digest import digest_bytes, is_digest
from datasets.errors import IntegrityError, VaultError
from datasets.scratch import discard, own_folder
from datasets.store import BlobStore, sync_directory
from datasets.truth.package import PARTS, TruthSet, open_truth, read_truth

OPENED = "opened.json"
OPENING = "opening-"


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
            IntegrityError: the disk does not give back what was written to it.
            VaultError: wrong key, damaged seal, no room to keep it, or not the truth of ``commitment``.
        """
        if not is_digest(digest):
            raise VaultError("a sealed truth is named by the sha256 of its seal")
        folder = self._root / digest
        kept = _kept(folder, commitment)
        if kept is not None:
            return kept
        opened = self._open(digest, commitment, folder)
        return _kept(folder, commitment) or opened

    def forget(self, digest: str) -> None:
        """Remove an opened truth; it is opened anew when needed."""
        if is_digest(digest):
            discard(self._root / digest)

    def _open(self, digest: str, commitment: str, folder: Path) -> TruthSet:
        with own_folder(self._root, OPENING) as work:
            with self._store.open(digest) as sealed:
                truth = open_truth(sealed, self._identity, work, commitment=commitment)
            note = {"digest": truth.digest, "commitment": truth.commitment, "metas": _metas(work)}
            (work / OPENED).write_text(json.dumps(note), encoding="utf-8")
            opened = read_truth(work, digest=truth.digest, commitment=truth.commitment)
            try:
                work.rename(folder)
                sync_directory(self._root)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # another process was faster, with the same
                    raise VaultError("the opened truth cannot be kept in the vault's folder") from error
            return opened


def _metas(folder: Path) -> dict[str, str]:
    """Digests of what describes the truth's own arrays; whatever else is kept in the folder is not the vault's."""
    found = [(f"{part}/{META}", folder / part / META) for part in PARTS]
    return {name: digest_bytes(path.read_bytes()) for name, path in found if path.is_file()}


def _kept(folder: Path, commitment: str) -> TruthSet | None:
    """What an earlier call left in ``folder``; a damaged folder is removed and counts as absent."""
    seen = _inode(folder)
    if seen is None:
        return None
    try:
        note = json.loads((folder / OPENED).read_text(encoding="utf-8"))
        truth = read_truth(folder, digest=note["digest"], commitment=note["commitment"])
        intact = note["metas"] == _metas(folder)
    except (OSError, ValueError, KeyError, TypeError, IntegrityError):
        intact = False
    if not intact:
        if _inode(folder) == seen:  # else another one has replaced it meanwhile
            discard(folder)
        return None
    if truth.commitment != commitment:
        raise VaultError("the sealed truth is not the one committed to at publication")
    return truth


def _inode(folder: Path) -> int | None:
    try:
        return folder.stat().st_ino
    except (FileNotFoundError, NotADirectoryError):
        return None

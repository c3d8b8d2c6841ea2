"""A challenge directory → an immutable release in the store, the truth sealed, a commitment to it.

Runs in the engine. Nothing is stored unless the whole directory is free of faults; storing twice is harmless because
blobs are named by their content.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from datasets.archive import write_archive
from datasets.catalog import catalog_of, layers_of
from datasets.digest import canonical_json, digest_bytes
from datasets.edits import Edits, apply_edits
from datasets.errors import Fault, SpecError
from datasets.examine import Checks, Examined, examine, release_files
from datasets.manifest import FileEntry, Manifest
from datasets.release import (
    FaultModel,
    Inspection,
    Publication,
    SealedTruth,
    StoredBlob,
    StoredFile,
)
from datasets.spec import TOML, Spec, sample_file
from datasets.store import BlobStore
from datasets.truth.package import Opening, seal_truth

CATALOG = "catalog.json"
HEADER = "# The public part of the challenge file: comments and the split into blocks are left out.\n"


@dataclass(frozen=True)
class Published:
    """``publication`` is for the portal; ``opening`` proves the commitment later and is secret until then."""

    publication: Publication
    opening: Opening


def inspect(folder: Path, *, checks: Checks, scratch: Path | None = None) -> Inspection:
    """Look at a challenge directory without publishing it.

    Raises:
        EngineFault: a reader could not be started.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as work:
        examined = examine(folder, Path(work), checks=checks)
    return inspection_of(folder, examined)


def publish(
    folder: Path,
    *,
    store: BlobStore,
    recipient: str,
    checks: Checks,
    edits: Edits | None = None,
    scratch: Path | None = None,
) -> Published:
    """Publish the challenge directory ``folder``; ``edits`` are written into it first.

    Raises:
        SpecError: with every fault; nothing was stored.
        VaultError: ``recipient`` is no key.
        EngineFault: a reader could not be started.
    """
    if edits is not None:
        apply_edits(folder, edits)
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        work = Path(name)
        examined = examine(folder, work, checks=checks)
        if examined.faults or examined.spec is None:
            raise SpecError(examined.faults)
        truth, opening = _store_truth(work, store, recipient)
        return Published(_release(folder, work, examined.spec, truth=truth, store=store), opening)


def public_toml(spec: Spec) -> str:
    """challenge.toml as experts get it: no comments (they may be notes of the sponsor) and no [blocks].

    Which rows or tiles are public would help to fit the public board; everything a validator needs is kept.
    """
    document = tomlkit.parse(spec.toml).unwrap()
    document.pop("blocks", None)
    return HEADER + tomlkit.dumps(document)


def inspection_of(folder: Path, examined: Examined) -> Inspection:
    """What to tell the sponsor of a directory that was examined."""
    spec = examined.spec
    head = spec.challenge if spec else None
    return Inspection(
        slug=head.slug if head else None,
        title=head.title if head else None,
        kind=head.kind if head else None,
        spec=spec.toml if spec else _text(folder / TOML) or None,
        overview=_text(folder / "overview.md"),
        agreement=_text(folder / "agreement.md"),
        faults=tuple(_fault_model(fault) for fault in examined.faults),
        facts=examined.facts,
    )


def _fault_model(fault: Fault) -> FaultModel:
    return FaultModel(file=fault.file, key=fault.key, message=fault.message, remedy=fault.remedy)


def _text(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > (1 << 20):
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _store_truth(work: Path, store: BlobStore, recipient: str) -> tuple[SealedTruth, Opening]:
    with tempfile.TemporaryFile(dir=work) as sealed:
        opening = seal_truth(work, sealed, recipient)
        sealed.seek(0)
        blob = store.put(sealed)
    return SealedTruth(digest=blob.digest, bytes=blob.size, commitment=opening.commitment), opening


def _release(folder: Path, work: Path, spec: Spec, *, truth: SealedTruth, store: BlobStore) -> Publication:
    given = release_files(folder)
    slug = spec.challenge.slug
    texts = {TOML: public_toml(spec).encode()} | {
        name: (folder / name).read_bytes() for name in ("overview.md", "agreement.md")
    }
    files = given | {name: _written(work / "made" / name, data) for name, data in texts.items()}
    entries = {name: _stored(name, path, store) for name, path in files.items()}
    layers = layers_of(given, work / "layers", store=store)
    catalog = canonical_json(catalog_of(spec, tuple(entries.values()), layers))
    files[CATALOG] = _written(work / "made" / CATALOG, catalog)
    entries[CATALOG] = _stored(CATALOG, files[CATALOG], store)
    manifest = Manifest.of(slug, entries.values())
    with (work / "manifest.json").open("w+b") as stream:
        stream.write(manifest.to_json())
        stream.seek(0)
        store.put(stream)
    return Publication(
        slug=slug,
        spec=spec.toml,
        spec_digest=digest_bytes(spec.toml.encode()),
        manifest=manifest.digest,
        files=tuple(StoredFile(path=e.path, bytes=e.bytes, sha256=e.sha256) for e in manifest.files),
        archive=_archive(work, {f"{slug}/{name}": path for name, path in files.items()}, store),
        overview=entries["overview.md"].sha256,
        agreement=entries["agreement.md"].sha256,
        sample=sample_file(folder).relative_to(folder).as_posix(),
        truth=truth,
        layers=layers,
    )


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _stored(name: str, path: Path, store: BlobStore) -> FileEntry:
    with path.open("rb") as stream:
        blob = store.put(stream)
    return FileEntry(name, blob.size, blob.digest)


def _archive(work: Path, files: Mapping[str, Path], store: BlobStore) -> StoredBlob:
    with (work / "release.zip").open("w+b") as target:
        write_archive(target, files)
        target.seek(0)
        blob = store.put(target)
    return StoredBlob(digest=blob.digest, bytes=blob.size)

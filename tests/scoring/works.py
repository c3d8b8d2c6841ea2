"""A published challenge and tickets for it, as the portal would write them."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from datasets.release import Publication
from datasets.sealing import generate_keys, seal
from datasets.spec import format_of
from datasets.store import LocalStore
from scoring.contracts import DraftTicket, PublishReport, ScoreTicket, TruthRef
from scoring.worker import EngineSettings, run_with
from tests.challenges import BUILDERS, Example


@dataclass(frozen=True)
class Works:
    """An engine with one published challenge."""

    settings: EngineSettings
    example: Example
    publication: Publication

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.settings.store)

    def ticket(self, file: Path, *, form: str | None = None) -> ScoreTicket:
        with file.open("rb") as stream:
            blob = self.store.put(stream)
        truth = self.publication.truth
        return ScoreTicket(
            submission="entry",
            challenge=self.publication.slug,
            file=blob.digest,
            bytes=blob.size,
            format=form or format_of(file.name, self.publication.slug.split("-", maxsplit=1)[0]) or "",
            spec=self.publication.spec,
            truth=TruthRef(version=1, digest=truth.digest, commitment=truth.commitment),
        )

    def payload(self, file: Path) -> bytes:
        return self.ticket(file).model_dump_json().encode()


def new_settings(root: Path) -> EngineSettings:
    identity, recipient = generate_keys()
    return EngineSettings(root / "blobs", root / "scratch", identity, recipient)


def draft_of(folder: Path, settings: EngineSettings) -> DraftTicket:
    """The sealed zip of a challenge directory in the store."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    target.seek(0)
    sealed = io.BytesIO()
    seal(target, sealed, settings.recipient)
    sealed.seek(0)
    return DraftTicket(draft="draft", archive=LocalStore(settings.store).put(sealed).digest)


def publish(root: Path, name: str, settings: EngineSettings | None = None) -> Works:
    """The example challenge ``name``, published through the engine's own task."""
    own = settings or new_settings(root)
    example = BUILDERS[name](root / name)
    ticket = draft_of(example.folder, own)
    report = PublishReport.model_validate_json(run_with(own, "publish", ticket.model_dump_json().encode()))
    assert report.publication is not None, report.faults
    return Works(own, example, report.publication)

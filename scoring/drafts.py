"""The sponsor's tasks of the engine: look at a draft and prove it, publish it. See scoring.worker for the frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets.edits import apply_edits
from datasets.errors import EngineFault, SpecError
from datasets.publish import publish as issue
from datasets.release import FaultModel, Inspection
from datasets.store import LocalStore
from datasets.unpack import unpack
from scoring.contracts import DraftTicket, InspectReport, PublishReport
from scoring.dryrun import CHECKS, inspect_and_prove
from scoring.hosts import Host
from scoring.rooms import room_of
from scoring.settings import EngineSettings
from scoring.truths import open_sealed


@contextmanager
def _directory(settings: EngineSettings, ticket: DraftTicket) -> Iterator[tuple[Path, Path]]:
    """The sponsor's challenge directory, opened, unpacked and edited, and a room for what is made of it."""
    with room_of(settings) as room:
        archive = open_sealed(settings, ticket.archive, room / "draft.zip")
        folder = unpack(archive, room / "draft")
        archive.unlink()
        if ticket.edits is not None:
            apply_edits(folder, ticket.edits)
        (room / "work").mkdir()
        yield folder, room / "work"


def inspect(settings: EngineSettings, payload: bytes, _host: Host) -> InspectReport:
    """Every fault of a draft; without any, the dry run's five entries."""
    ticket = DraftTicket.model_validate_json(payload)
    try:
        with _directory(settings, ticket) as (folder, room):
            found, proof = inspect_and_prove(folder, scratch=room)
            return InspectReport(inspection=found, dry_run=proof.to_dict() if proof else None)
    except SpecError as error:
        return InspectReport(inspection=Inspection(faults=_models(error)))


def publish(settings: EngineSettings, payload: bytes, _host: Host) -> PublishReport:
    """Publish a draft: release and sealed truth into the store; all faults instead when there are any."""
    ticket = DraftTicket.model_validate_json(payload)
    if not settings.recipient:
        raise EngineFault("MOTHERLODE_TRUTH_RECIPIENT is not set; no truth can be sealed")
    store = LocalStore(settings.store)
    try:
        with _directory(settings, ticket) as (folder, room):
            made = issue(folder, store=store, recipient=settings.recipient, checks=CHECKS, scratch=room)
            return PublishReport(publication=made.publication)
    except SpecError as error:
        return PublishReport(faults=_models(error))


def _models(error: SpecError) -> tuple[FaultModel, ...]:
    return tuple(FaultModel(file=f.file, key=f.key, message=f.message, remedy=f.remedy) for f in error.faults)

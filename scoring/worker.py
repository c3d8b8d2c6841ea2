"""One task end to end, on whatever machine: bytes in, bytes out, nothing raised for what a ticket may hold.

``score`` takes a ScoreTicket and gives a ScoreReport; ``inspect`` and ``publish`` take a DraftTicket and give an
InspectReport or a PublishReport. When the platform fails, the answer is a FaultReport and the portal tries again.
This is the only module of scoring that opens a truth.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Self

import pyrage
from pydantic import BaseModel, ValidationError

from datasets.canonical import Canonical
from datasets.digest import CHUNK, chunks, digest_stream
from datasets.errors import BlobNotFound, EngineFault, IntegrityError, MotherlodeError, SpecError, VaultError
from datasets.sandbox import probe
from datasets.spec import Spec, parse_spec
from datasets.store import LocalStore
from datasets.truth.package import decrypt, package_digest
from datasets.truth.vault import Vault
from scoring.contracts import FaultReport, FileFacts, ScoreReport, ScoreTicket
from scoring.engine import Outcome, Plan, Runner, inline
from scoring.entry import Evaluation, Upload, evaluate
from scoring.kinds.pairing import TruthSet
from scoring.preview import artifacts
from scoring.statistics import pack

__all__ = [
    "EngineSettings",
    "PartJob",
    "open_sealed",
    "package_digest",
    "part",
    "room_of",
    "run",
    "run_with",
    "score",
    "warm_up",
]

MAX_ANSWER = 256 << 10  # bytes of a score report
FEWER = 20  # findings kept when a report grows too large
CACHE_BYTES = 20 << 30
_LOG = logging.getLogger(__name__)
FAULTS: Mapping[type[Exception], str] = MappingProxyType(
    {
        VaultError: "truth-unavailable",
        BlobNotFound: "blob-missing",
        IntegrityError: "blob-damaged",
        EngineFault: "engine-fault",
        ValidationError: "bad-ticket",
    }
)


@dataclass(frozen=True)
class EngineSettings:
    """Where the engine finds things. ``truth_key``: age identity; ``recipient``: the key new truths are sealed for."""

    store: Path
    scratch: Path
    truth_key: str = field(default="", repr=False)
    recipient: str = ""
    cache_bytes: int = CACHE_BYTES

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read MOTHERLODE_STORE, _SCRATCH, _TRUTH_KEY (text, or @file), _TRUTH_RECIPIENT and _TRUTH_CACHE_BYTES.

        Store and scratch default to ``blobs`` and ``scratch`` in MOTHERLODE_DATA (./var).

        Raises:
            EngineFault: the file of the truth key cannot be read.
        """
        given = os.environ if environ is None else environ
        data = Path(given.get("MOTHERLODE_DATA") or "var")
        key = given.get("MOTHERLODE_TRUTH_KEY", "").strip()
        if key.startswith("@"):
            try:
                key = Path(key[1:]).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise EngineFault("the file named by MOTHERLODE_TRUTH_KEY cannot be read") from error
        return cls(
            store=Path(given.get("MOTHERLODE_STORE") or data / "blobs").absolute(),
            scratch=Path(given.get("MOTHERLODE_SCRATCH") or data / "scratch").absolute(),
            truth_key=key,
            recipient=given.get("MOTHERLODE_TRUTH_RECIPIENT", "").strip() or _public_half(key),
            cache_bytes=int(given.get("MOTHERLODE_TRUTH_CACHE_BYTES") or CACHE_BYTES),
        )

    @property
    def truths(self) -> Path:
        """Opened truths, one folder each, shared by the workers of a machine."""
        return self.scratch / "truth"


def _public_half(identity: str) -> str:
    try:
        return str(pyrage.x25519.Identity.from_str(identity).to_public()) if identity else ""
    except pyrage.IdentityError:
        return ""


def open_sealed(settings: EngineSettings, digest: str, target: Path) -> Path:
    """Open the sealed blob ``digest`` into the file ``target``.

    Raises:
        BlobNotFound, IntegrityError: the blob is missing or damaged.
        VaultError: it was sealed for another key.
    """
    store = LocalStore(settings.store)
    store.verify(digest)
    with store.open(digest) as sealed, target.open("wb") as plain:
        decrypt(sealed, plain, settings.truth_key)
    return target


@dataclass(frozen=True)
class PartJob:
    """What another process needs to compute parts of a plan: the spec and the folders of the canonical forms."""

    spec: str
    truth: str
    prediction: str

    def to_json(self) -> bytes:
        return json.dumps([self.spec, self.truth, self.prediction]).encode()


Spread = Callable[[PartJob], Runner]


def alone(_job: PartJob) -> Runner:
    """Compute every part in this thread."""
    return inline


def run(task: str, payload: bytes) -> bytes:
    """Do one task with the settings of the environment; see run_with."""
    return run_with(None, task, payload)


def run_with(settings: EngineSettings | None, task: str, payload: bytes, *, spread: Spread = alone) -> bytes:
    """Do one task: JSON of a ticket in, JSON of a report (or of a FaultReport) out. Raises nothing.

    ``settings`` None: those of the environment. ``spread`` says who computes the parts of a large entry.
    """
    try:
        known = EngineSettings.from_env() if settings is None else settings
        known.scratch.mkdir(parents=True, exist_ok=True)
        if task not in TASKS:
            return _fault("bad-ticket", f"there is no task {task!r}")
        module, name = TASKS[task]
        work: Work = getattr(import_module(module), name)
        return work(known, payload, spread).model_dump_json().encode()
    except (MotherlodeError, ValidationError) as error:
        code = next((code for kind, code in FAULTS.items() if isinstance(error, kind)), "engine-fault")
        return _fault(code, str(error)[:500] if isinstance(error, MotherlodeError) else "the ticket is not well-formed")
    except Exception as error:  # noqa: BLE001  the edge of the process: an unforeseen error is a fault, not a crash
        _LOG.exception("task %s failed", task)
        return _fault("unexpected", type(error).__name__)


def warm_up() -> None:
    """Start this process's reader, so that the first entry does not wait for it."""
    probe()


def _fault(code: str, message: str) -> bytes:
    return FaultReport(fault=code, message=message).model_dump_json().encode()


def part(job: bytes, number: int) -> bytes:
    """The states of one part of a large entry, packed; the plan is kept for the next part of the same entry."""
    return pack(_plan(job).partials(number))


@lru_cache(maxsize=1)
def _plan(job: bytes) -> Plan:
    spec, truth, prediction = json.loads(job)
    folder = Path(truth)
    grid = Canonical.read(folder / "grid") if (folder / "grid").is_dir() else None
    return Plan.of(parse_spec(spec), TruthSet(Canonical.read(folder / "truth"), grid), Canonical.read(Path(prediction)))


def score(settings: EngineSettings, payload: bytes, spread: Spread) -> ScoreReport:
    """The task ``score``: see run_with."""
    ticket = ScoreTicket.model_validate_json(payload)
    spec, store = _spec(ticket.spec), LocalStore(settings.store)
    opened = Vault(settings.truths, store, settings.truth_key).unseal(ticket.truth.digest, ticket.truth.commitment)
    _trim_cache(settings, keep=ticket.truth.digest)
    truth = TruthSet(opened.truth, opened.grid)
    with room_of(settings) as room:
        upload = _fetch(store, ticket, room)
        runner = spread(PartJob(ticket.spec, str(settings.truths / ticket.truth.digest), str(room / "entry")))
        made = evaluate(upload, spec, truth, out=room / "entry", truth_digest=opened.commitment, run=runner)
        report = made.report.model_copy(update={"challenge": ticket.challenge})
        return _bounded(_kept(store, spec, truth, made, report))


def _spec(text: str) -> Spec:
    try:
        return parse_spec(text)
    except SpecError as error:
        raise EngineFault("the ticket's challenge file has faults; publish the challenge again") from error


@contextmanager
def room_of(settings: EngineSettings) -> Iterator[Path]:
    """A folder of its own for one task."""
    with tempfile.TemporaryDirectory(dir=settings.scratch, prefix="task-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _fetch(store: LocalStore, ticket: ScoreTicket, room: Path) -> Upload:
    """The uploaded file, verified against its digest. A damaged blob is our fault, never the entry's."""
    path = store.path(ticket.file)
    if path is None:
        path = room / "data"
        with store.open(ticket.file) as source, path.open("wb") as target:
            for block in chunks(source, CHUNK):
                target.write(block)
    with path.open("rb") as stream:
        if digest_stream(stream) != ticket.file:
            raise IntegrityError(f"the blob {ticket.file} is damaged; restore it from a backup")
    return Upload(path, ticket.format, FileFacts(sha256=ticket.file, bytes=path.stat().st_size))


def _kept(store: LocalStore, spec: Spec, truth: TruthSet, made: Evaluation, report: ScoreReport) -> ScoreReport:
    """Store block statistics and previews of a scored entry; their digests go into the report."""
    if made.outcome is None or made.prediction is None:
        return report
    statistics = store.put(BytesIO(pack(made.outcome.block_states))).digest
    drawn = _drawn(spec, truth, made.prediction, made.outcome)
    stored = {name: store.put(BytesIO(data)).digest for name, data in sorted(drawn.items())}
    return report.model_copy(update={"block_statistics": statistics, "artifacts": stored})


def _drawn(spec: Spec, truth: TruthSet, prediction: Canonical, outcome: Outcome) -> Mapping[str, bytes]:
    """Previews are a convenience: an entry that cannot be drawn keeps its score."""
    try:
        return artifacts(spec, truth, prediction, outcome)
    except Exception:  # noqa: BLE001  drawing goes through libraries that raise what they like
        _LOG.exception("no previews for an entry of %s", spec.challenge.slug)
        return {}


def _bounded(report: ScoreReport) -> ScoreReport:
    if len(report.model_dump_json()) <= MAX_ANSWER:
        return report
    return report.model_copy(update={"findings": report.findings[:FEWER]})


def _trim_cache(settings: EngineSettings, *, keep: str) -> None:
    """Forget the truths that were used longest ago while all together are larger than the cap."""
    folder = settings.truths / keep
    os.utime(folder)
    kept = [(path.stat().st_mtime, _size(path), path) for path in settings.truths.iterdir() if path.is_dir()]
    total = sum(size for _, size, _ in kept)
    for _, size, path in sorted(kept):
        if total <= settings.cache_bytes:
            return
        if path != folder and not path.name.startswith("opening-"):
            shutil.rmtree(path, ignore_errors=True)
            total -= size


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


Work = Callable[[EngineSettings, bytes, Spread], BaseModel]
# Where each task is done. Modules are loaded on first use: drafts need writers that scoring never does.
TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "score": ("scoring.worker", "score"),
        "inspect": ("scoring.drafts", "inspect"),
        "publish": ("scoring.drafts", "publish"),
    }
)

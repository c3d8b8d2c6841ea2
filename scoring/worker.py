"""One task end to end, on whatever machine: bytes in, bytes out, nothing raised for what a ticket may hold.

``score`` takes a ScoreTicket and gives a ScoreReport; ``inspect`` and ``publish`` take a DraftTicket and give an
InspectReport or a PublishReport. When the platform fails, the answer is a FaultReport and the portal tries again.
"""

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from pydantic import BaseModel, ValidationError

from datasets.canonical import Canonical
from datasets.digest import CHUNK, chunks, digest_stream
from datasets.errors import BlobNotFound, EngineFault, IntegrityError, MotherlodeError, VaultError
from datasets.intake import SMALL
from datasets.sandbox import probe
from datasets.scratch import fault_behind
from datasets.spec import Spec, parse_spec
from datasets.store import LocalStore
from datasets.threads import using
from scoring.contracts import FaultReport, FileFacts, ScoreReport, ScoreTicket
from scoring.engine import Outcome, Partials, PartTask, Plan
from scoring.entry import ALONE, Evaluation, Upload, evaluate
from scoring.hosts import Host, PartJob, Stopped
from scoring.kinds.pairing import TruthSet
from scoring.preview import artifacts
from scoring.rooms import room_of
from scoring.settings import EngineSettings
from scoring.statistics import pack, unpack
from scoring.truths import let_go, mapped, open_for

__all__ = ["PLANS", "EngineSettings", "PartJob", "packed", "parts", "run", "run_with", "score", "unpacked", "warm_up"]

MAX_ANSWER = 256 << 10  # bytes of a score report
MAX_PLANS = 8
MAX_OVER = 64  # entries of which it is remembered that they are scored
FEWER = 20  # findings kept when a report grows too large
_LOG = logging.getLogger(__name__)
FAULTS: Mapping[type[Exception], str] = MappingProxyType(
    {
        VaultError: "truth-unavailable",
        Stopped: "stopped",
        BlobNotFound: "blob-missing",
        IntegrityError: "blob-damaged",
        EngineFault: "engine-fault",
        ValidationError: "bad-ticket",
    }
)


def run(task: str, payload: bytes) -> bytes:
    """Do one task with the settings of the environment; see run_with."""
    return run_with(None, task, payload)


def run_with(settings: EngineSettings | None, task: str, payload: bytes, *, host: Host = ALONE) -> bytes:
    """Do one task: JSON of a ticket in, JSON of a report (or of a FaultReport) out. Raises nothing.

    ``settings`` None: those of the environment. ``host``: what the process the task is done in can draw on.
    """
    try:
        known = EngineSettings.from_env() if settings is None else settings
        known.scratch.mkdir(parents=True, exist_ok=True)
        if task not in TASKS:
            return _fault("bad-ticket", f"there is no task {task!r}")
        module, name = TASKS[task]
        work: Work = getattr(import_module(module), name)
        with using(host.threads):
            return work(known, payload, host).model_dump_json().encode()
    except (MotherlodeError, ValidationError) as error:
        code = next((code for kind, code in FAULTS.items() if isinstance(error, kind)), "engine-fault")
        return _fault(code, str(error)[:500] if isinstance(error, MotherlodeError) else "the ticket is not well-formed")
    except Exception as error:  # noqa: BLE001  the edge of the process: an unforeseen error is a fault, not a crash
        _LOG.exception("task %s failed", task)
        return _fault("unexpected", fault_behind(error) or type(error).__name__)


def warm_up() -> None:
    """Start this process's reader, so that the first entry does not wait for it."""
    probe()


def _fault(code: str, message: str) -> bytes:
    return FaultReport(fault=code, message=message).model_dump_json().encode()


def parts(job: PartJob, detail: bytes, first: int, last: int) -> bytes:
    """The states of the bundles of a large entry from ``first`` to before ``last``; its plan is kept for more."""
    task = PartTask(PLANS.of(job), detail)
    return packed(map(task, range(first, last)))


def packed(stretch: Iterable[Partials]) -> bytes:
    """The states of consecutive bundles in one piece, each bundle for itself: how they join is not decided here."""
    return pack(
        {
            (f"{number} {key}", side): states
            for number, partials in enumerate(stretch)
            for (key, side), states in partials.items()
        }
    )


def unpacked(answer: bytes, bundles: int) -> list[Partials]:
    """The inverse of ``packed`` for that many bundles."""
    found: list[Partials] = [{} for _ in range(bundles)]
    for (name, side), states in unpack(answer).items():
        number, _, key = name.partition(" ")
        found[int(number)][key, side] = dict(states)
    return found


class Plans:
    """Plans of large entries that this process computes bundles of, until their entries are scored; few at most."""

    def __init__(self) -> None:
        self._plans: OrderedDict[PartJob, Plan] = OrderedDict()
        self._over: deque[PartJob] = deque(maxlen=MAX_OVER)
        self._lock = threading.Lock()

    def of(self, job: PartJob) -> Plan:
        """The plan of ``job``; made at the first call."""
        with self._lock:
            known = self._plans.get(job)
        if known is None:
            self.keep(job, known := _plan(job))
        return known

    def keep(self, job: PartJob, plan: Plan) -> None:
        """Use a plan that was made already, until the entry is scored."""
        with self._lock:
            if job in self._over:  # a stretch of bundles that began late, which nobody waits for
                return
            self._plans[job] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)

    def forget(self, job: PartJob) -> None:
        """Let go of a plan and of the files it maps: its entry is scored, and each has a room of its own."""
        with self._lock:
            self._over.append(job)
            self._plans.pop(job, None)


PLANS = Plans()


def _plan(job: PartJob) -> Plan:
    folder, spec = Path(job.truth), parse_spec(job.spec)
    grid = Canonical.read(folder / "grid") if (folder / "grid").is_dir() else None
    bare = TruthSet(Canonical.read(folder / "truth"), grid)
    truth = mapped(spec, bare, Path(job.index) if job.index else None)
    return Plan.of(spec, truth, Canonical.read(Path(job.prediction)))


def score(settings: EngineSettings, payload: bytes, host: Host) -> ScoreReport:
    """The task ``score``: see run_with."""
    ticket = ScoreTicket.model_validate_json(payload)
    opened, store = open_for(settings, ticket.truth, ticket.spec), LocalStore(settings.store)
    spec, truth = opened.spec, opened.truth
    with room_of(settings) as room:
        upload = _fetch(store, ticket, room)
        index = str(opened.index or "")
        job = PartJob(spec.challenge.kind, ticket.spec, str(opened.folder), index, str(room / "entry"))
        with verified(upload, beside=host.threads > 1 and upload.facts.bytes > SMALL):
            made = evaluate(upload, spec, truth, out=room / "entry", truth_digest=opened.commitment, host=host, job=job)
        report = made.report.model_copy(update={"challenge": ticket.challenge})
        kept = _bounded(_kept(store, spec, truth, made, report))
    let_go(truth)
    return kept


def _fetch(store: LocalStore, ticket: ScoreTicket, room: Path) -> Upload:
    """The uploaded file, not verified yet."""
    path = store.path(ticket.file)
    if path is None:
        path = room / "data"
        with store.open(ticket.file) as source, path.open("wb") as target:
            for block in chunks(source, CHUNK):
                target.write(block)
    return Upload(path, ticket.format, FileFacts(sha256=ticket.file, bytes=path.stat().st_size))


@contextmanager
def verified(upload: Upload, *, beside: bool) -> Iterator[None]:
    """A block that works on a file that is what its digest says: looked at before, or in a thread ``beside`` it.

    Raises:
        IntegrityError: it is not, whatever else the block has raised. A damaged blob is our fault, never the entry's.
    """
    if not beside:
        _verify(upload)
        yield
        return
    pool = ThreadPoolExecutor(1, thread_name_prefix="digest")
    found = pool.submit(_verify, upload)
    pool.shutdown(wait=False)
    try:
        yield
    except Stopped:
        raise
    except Exception:
        found.result()
        raise
    found.result()


def _verify(upload: Upload) -> None:
    with upload.path.open("rb") as stream:
        if digest_stream(stream) != upload.facts.sha256:
            raise IntegrityError(f"the blob {upload.facts.sha256} is damaged; restore it from a backup")


def _kept(store: LocalStore, spec: Spec, truth: TruthSet, made: Evaluation, report: ScoreReport) -> ScoreReport:
    """Store block statistics and previews of a scored entry; their digests go into the report."""
    if made.outcome is None or made.prediction is None:
        return report
    drawn = sorted(_drawn(spec, truth, made.prediction, made.outcome).items())
    blobs = [pack(made.outcome.block_states), *(data for _, data in drawn)]
    statistics, *stored = (blob.digest for blob in store.put_many(blobs))
    artifacts_ = {name: digest for (name, _), digest in zip(drawn, stored, strict=True)}
    return report.model_copy(update={"block_statistics": statistics, "artifacts": artifacts_})


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


Work = Callable[[EngineSettings, bytes, Host], BaseModel]
# Where each task is done. Modules are loaded on first use: drafts need writers that scoring never does.
TASKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "score": ("scoring.worker", "score"),
        "inspect": ("scoring.drafts", "inspect"),
        "publish": ("scoring.drafts", "publish"),
    }
)

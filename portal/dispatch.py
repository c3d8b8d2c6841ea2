"""The scoring loop: claim with a lease, hand to the engine, heartbeat, record under the fence.

Nothing is remembered here: whatever this process holds when it dies is taken up again once its leases have run out.
Any number of dispatchers may run at once.
"""

import os
import resource
import socket
import threading
import time
from dataclasses import dataclass, field

import structlog
from pydantic import ValidationError

from datasets.errors import EngineFault
from portal.adapters.work import Engine, Job
from portal.services import collecting, mailing
from portal.services.context import Context
from portal.store.database import Unreachable
from portal.store.queue import Claim
from scoring.contracts import FaultReport

log = structlog.get_logger(__name__)
IDLE_S, BUSY_S, STOP_S, BACK_OFF_S = 0.075, 0.02, 10.0, 1.0
SWEEP_S, MAIL_S, FORGET_S, FACTS_S = 10.0, 1.0, 600.0, 5.0
PROGRESS_S = 1.0  # between two looks how far the entries under way are, and whether they are still wanted


@dataclass
class _Every:
    """True at most once in ``seconds`` of monotonic time."""

    seconds: float
    due: float = 0.0

    def __call__(self, now: float) -> bool:
        if now < self.due:
            return False
        self.due = now + self.seconds
        return True


@dataclass
class Dispatcher:
    """One scoring loop. ``slots``: tasks handed over at the same time; None asks the engine (twice its threads).

    At most half of them are entries of many bytes, so that small ones always find one free.
    """

    ctx: Context
    engine: Engine
    slots: int | None = None
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{os.urandom(3).hex()}")
    stop: threading.Event = field(default_factory=threading.Event)
    _held: dict[Claim, Job] = field(default_factory=dict)
    _told: dict[Claim, float] = field(default_factory=dict)
    _wake: threading.Event = field(default_factory=threading.Event)
    _facts: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        settings = self.ctx.settings
        self._beat, self._sweep = _Every(settings.heartbeat_seconds), _Every(min(SWEEP_S, settings.lease_seconds / 2))
        self._forget, self._ask, self._look = _Every(FORGET_S), _Every(FACTS_S), _Every(PROGRESS_S)

    def run(self) -> None:
        """Work until ``stop`` is set, then give back what is not finished.

        Raises:
            EngineFault: the engine takes no more work; start again with a new one.
        """
        log.info("dispatcher started", worker=self.name)
        post = threading.Thread(target=self._mail_loop, name="mail", daemon=True)
        post.start()
        try:
            self._loop()
        finally:
            self.stop.set()
            self.finish()
            log.info("dispatcher stopped", worker=self.name)

    def _loop(self) -> None:
        while not self.stop.is_set():
            try:
                moved = self.step()
            except Unreachable:
                log.warning("the database does not answer; trying again")
                self.stop.wait(BACK_OFF_S)
                continue
            if not moved:
                self.pause()

    def _mail_loop(self) -> None:
        """Mail has a thread of its own: a slow server must not cost a lease."""
        while not self.stop.wait(MAIL_S):
            try:
                mailing.deliver(self.ctx)
            except Unreachable:
                log.warning("the database does not answer; mail waits")

    def step(self) -> bool:
        """One turn of the loop; whether anything moved."""
        now = time.monotonic()
        collected = self._collect()
        if self._ask(now):
            self._learn()
        if self._held and self._look(now):
            self._let_go(collecting.lost(self.ctx, held=list(self._held)))
            self._tell()
        if self._beat(now):
            self._heartbeat()
        if self._sweep(now):
            collecting.sweep(self.ctx)
        if self._forget(now):
            collecting.forget(self.ctx)
        return self._take() or collected

    @property
    def busy(self) -> bool:
        """Whether anything handed over is not answered yet."""
        return bool(self._held)

    def pause(self) -> None:
        """Wait until an answer is there, or for a moment."""
        self._wake.wait(BUSY_S if self._held else IDLE_S)
        self._wake.clear()

    def finish(self, within: float = STOP_S) -> None:
        """Collect what is done within that many seconds; give the rest back to the line."""
        end = time.monotonic() + within
        while self._held and time.monotonic() < end:
            if not self._collect():
                self.pause()
        for work, job in self._held.items():
            job.cancel()
            collecting.give_back(self.ctx, work=work)
        self._held.clear()

    def _take(self) -> bool:
        slots = self.slots or 2 * max(1, self._facts[0])
        free, large = slots - len(self._held), max(1, slots // 2) - sum(work.large for work in self._held)
        if free <= 0 or not collecting.waiting(self.ctx):
            return False
        claims = collecting.claim(self.ctx, worker=self.name, limit=free, large=max(0, large))
        for place, work in enumerate(claims):
            try:
                self._hand_over(work)
            except EngineFault:  # no entry is to blame, so none of these tries counts
                for unsent in claims[place:]:
                    collecting.give_back(self.ctx, work=unsent)
                raise
        return bool(claims)

    def _hand_over(self, work: Claim) -> None:
        payload = collecting.ticket(self.ctx, work=work)
        if payload is None:
            return
        job = self.engine.submit(work.kind, payload)
        self._held[work] = job
        job.add_done_callback(lambda _: self._wake.set())

    def _collect(self) -> bool:
        done = [work for work, job in self._held.items() if job.done()]
        for work in done:
            self._finish_one(work, self._held[work])
            self._drop(work)
        return bool(done)

    def _finish_one(self, work: Claim, job: Job) -> None:
        try:
            answer = job.result(0)
            fault = _fault_in(answer)
            if fault is None:
                collecting.record(self.ctx, work=work, answer=answer)
                return
        except (EngineFault, TimeoutError) as error:
            fault = str(error)
        except ValidationError:
            fault = "the engine's answer is no report"
        collecting.fault(self.ctx, work=work, reason=fault)

    def _drop(self, work: Claim) -> Job:
        self._told.pop(work, None)
        return self._held.pop(work)

    def _let_go(self, lost: set[Claim]) -> None:
        """Stop work on entries that were withdrawn, and on rows another loop has taken."""
        for work in lost:
            log.warning("a claim is held no more; its work is dropped", row=str(work.id))
            self._drop(work).cancel()

    def _tell(self) -> None:
        """Write down the progress of what is under way; most entries are done before they have any."""
        shares = {work: share for work, job in self._held.items() if (share := job.progress()) is not None}
        news = {work: share for work, share in shares.items() if self._told.get(work) != share}
        self._let_go(collecting.tell(self.ctx, shares=news) if news else set())
        self._told.update((work, share) for work, share in news.items() if work in self._held)

    def _heartbeat(self) -> None:
        self._let_go(collecting.keep(self.ctx, held=list(self._held)) if self._held else set())
        threads, memory = self._facts
        collecting.heartbeat(self.ctx, worker=self.name, busy=len(self._held), threads=threads, memory=memory)

    def _learn(self) -> None:
        workers = self.engine.workers()
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self._facts = (sum(worker.threads for worker in workers), own + sum(worker.memory for worker in workers))


def _fault_in(answer: bytes) -> str | None:
    """What a FaultReport says, or None when the answer is a report."""
    if not answer.startswith(b'{"fault":'):
        return None
    report = FaultReport.model_validate_json(answer)
    return f"{report.fault}: {report.message}"

"""Would it carry 100 workers, 10,000 entries an hour and 10 TB of truth? `python -m benchmarks.scaling`

A discrete-event simulation of one portal: entries arrive at random, are claimed from the database, pass Dask's
scheduler and run on hosts that keep opened truths. Costs and assumptions stand in ``load``. It prints a Markdown
table, which docs/scaling.md explains.
"""

import argparse
import heapq
import itertools
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.load import GB, TB, Challenge, Town, by_fashion, challenges, rendezvous


@dataclass
class Entry:
    challenge: Challenge
    arrived: float
    started: float = -1.0
    finished: float = -1.0
    parts_left: int = 0


@dataclass
class Server:
    """One after the other: a scheduler, a dispatcher."""

    free: float = 0.0
    busy: float = 0.0

    def take(self, now: float, cost: float) -> float:
        self.free = max(now, self.free) + cost
        self.busy += cost
        return self.free


@dataclass
class Host:
    """Workers with a common cache. ``waiting``: parts before whole entries, so that what has begun ends soon."""

    free: int
    room: float
    truths: OrderedDict[str, float] = field(default_factory=OrderedDict)
    opening: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    parts: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    entries: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    load: float = 0.0  # processor seconds promised and not yet done

    used: float = 0.0

    def keep(self, name: str, size: float) -> None:
        """Have a truth, as the one used last; those used longest ago give way."""
        self.used += size - self.truths.get(name, 0.0)
        self.truths[name] = size
        self.truths.move_to_end(name)
        while self.used > self.room and len(self.truths) > 1:
            self.used -= self.truths.popitem(last=False)[1]


@dataclass
class Simulation:
    town: Town
    now: float = 0.0
    busy: float = 0.0
    fetched: float = 0.0
    cold: int = 0
    fetching: int = 0
    moved: float = 0.0
    done: list[Entry] = field(default_factory=list)
    arrived: int = 0
    tasks: int = 0

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._random = random.Random(self.town.seed)
        self.scheduler = Server()
        self.queue = [Server() for _ in range(self.town.dispatchers)]
        self.hosts = [Host(self.town.per_host, self.town.cache_mb) for _ in range(self.town.hosts)]
        self.challenges = list(challenges(self.town))
        self._places: dict[str, list[int]] = {}
        weights = [challenge.kind.share / place**self.town.fashion for place, challenge in by_fashion(self.challenges)]
        self._chosen = list(itertools.accumulate(weights))
        self._settle()

    def _settle(self) -> None:
        """What the hosts had opened before we look: the challenges entries were last sent to."""
        for challenge in self._random.choices(self.challenges, cum_weights=self._chosen, k=4 * len(self.challenges)):
            for place in self._near(challenge) if self.town.placed else [self._random.randrange(len(self.hosts))]:
                self.hosts[place].keep(challenge.name, challenge.truth_mb)

    def at(self, time: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._count), call))

    def run(self) -> "Simulation":
        """Until the last entry that arrived is scored."""
        self._next_arrival()
        while self._events:
            self.now, _, call = heapq.heappop(self._events)
            call()
        return self

    def _next_arrival(self) -> None:
        time = self.now + self._random.expovariate(self.town.per_hour / 3600)
        if time < (self.town.hours + 0.5) * 3600:
            self.at(time, self._arrive)

    def _arrive(self) -> None:
        self.arrived += 1
        (challenge,) = self._random.choices(self.challenges, cum_weights=self._chosen)
        entry = Entry(challenge, self.now)
        claimed = min(self.queue, key=lambda server: server.free).take(self.now, self.town.entry_s)
        self.at(self.scheduler.take(claimed, self.town.task_s), lambda: self._place(entry))
        self.tasks += 1
        self._next_arrival()

    def _place(self, entry: Entry) -> None:
        host = self._host(entry.challenge)
        host.load += self._cost(entry.challenge)
        host.entries.append((self.now, lambda: self._truth(host, entry)))
        self._serve(host)

    def _near(self, challenge: Challenge) -> list[int]:
        if challenge.name not in self._places:
            self._places[challenge.name] = rendezvous(challenge.name, len(self.hosts), self.town.copies)
        return self._places[challenge.name]

    def _host(self, challenge: Challenge) -> Host:
        """Of those asked first the one that would begin soonest; the emptiest of all when that is too late."""
        emptiest = min(self.hosts, key=lambda host: host.load)
        if not self.town.placed:
            return emptiest

        def begins(host: Host) -> float:
            opening = 0.0 if challenge.name in host.truths else challenge.truth_mb / self.town.fetch_mbps
            return host.load / self.town.per_host + opening

        best = min((self.hosts[place] for place in self._near(challenge)), key=begins)
        return best if begins(best) <= begins(emptiest) + self.town.spill_s else emptiest

    def _serve(self, host: Host) -> None:
        while host.free and (host.parts or host.entries):
            _, call = (host.parts or host.entries).popleft()
            host.free -= 1
            call()

    def _leave(self, host: Host) -> None:
        host.free += 1
        self._serve(host)

    def _truth(self, host: Host, entry: Entry) -> None:
        """A worker has the entry; it goes on once the truth is open on this host."""
        entry.started, name = self.now, entry.challenge.name
        if name in host.truths:
            host.keep(name, entry.challenge.truth_mb)
            self._intake(host, entry)
        elif name in host.opening:
            host.opening[name].append(lambda: self._intake(host, entry))
        else:
            host.opening[name] = [lambda: self._intake(host, entry)]
            self.cold += 1
            self.fetched += entry.challenge.truth_mb
            ends = self.now + max(self._bring(entry.challenge.truth_mb), entry.challenge.truth_mb * self.town.open_s)
            self.busy += entry.challenge.truth_mb * self.town.open_s
            self.at(ends, lambda: self._opened(host, entry.challenge))

    def _opened(self, host: Host, challenge: Challenge) -> None:
        self.fetching -= 1
        host.keep(challenge.name, challenge.truth_mb)
        for call in host.opening.pop(challenge.name):
            call()

    def _bring(self, size: float) -> float:
        """Seconds to get that many MB; what the store gives is shared by those who fetch as this one begins."""
        self.fetching += 1
        self.moved += size
        return size / min(self.town.fetch_mbps, self.town.store_mbps / self.fetching)

    def _intake(self, host: Host, entry: Entry) -> None:
        size = self._entry_mb(entry.challenge)
        spent = size * entry.challenge.kind.intake_s
        wait = self._bring(size)
        self.busy += spent

        def read() -> None:
            self.fetching -= 1
            host.load -= spent
            self._parts(host, entry)

        self.at(self.now + wait + spent, read)

    def _parts(self, host: Host, entry: Entry) -> None:
        parts = self._part_count(entry.challenge)
        entry.parts_left, cost = parts, self._entry_mb(entry.challenge) * entry.challenge.kind.score_s / parts
        for part in range(parts):
            ready = self.now
            if part:
                self.tasks += 1
                ready = self.scheduler.take(self.now, self.town.task_s)
            self.at(ready, lambda: self._part(host, entry, cost))
        self._leave(host)

    def _part(self, host: Host, entry: Entry, cost: float) -> None:
        def begin() -> None:
            self.busy += cost
            self.at(self.now + cost, end)

        def end() -> None:
            host.load -= cost
            entry.parts_left -= 1
            if not entry.parts_left:
                entry.finished = self.now
                self.done.append(entry)
            self._leave(host)

        host.parts.append((self.now, begin))
        self._serve(host)

    def _part_count(self, challenge: Challenge) -> int:
        return max(1, min(self.town.most_parts, round(challenge.truth_mb / self.town.part_mb)))

    def _entry_mb(self, challenge: Challenge) -> float:
        return min(challenge.truth_mb * challenge.kind.entry, self.town.largest_entry)

    def _cost(self, challenge: Challenge) -> float:
        kind = challenge.kind
        return self._entry_mb(challenge) * (kind.intake_s + kind.score_s)


@dataclass(frozen=True)
class Result:
    """What one run gave; waits in seconds, of entries that came after the warming up."""

    town: Town
    entries: int
    unfinished: int
    used: float
    wait: tuple[float, float]
    total: tuple[float, float]
    cold: int
    fetched_tb: float
    gb_per_s: float
    scheduler: float
    database: float


def simulate(town: Town) -> Result:
    made = Simulation(town).run()
    span = max(made.now, 1e-9)
    counted = [entry for entry in made.done if entry.arrived >= 1800] or made.done
    return Result(
        town=town,
        entries=len(made.done),
        unfinished=made.arrived - len(made.done),
        used=made.busy / (span * town.hosts * town.per_host),
        wait=_quantiles([entry.started - entry.arrived for entry in counted]),
        total=_quantiles([entry.finished - entry.arrived for entry in counted]),
        cold=made.cold,
        fetched_tb=made.fetched / TB,
        gb_per_s=made.moved / span / GB,
        scheduler=made.scheduler.busy / span,
        database=sum(server.busy for server in made.queue) / (span * len(made.queue)),
    )


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    found = sorted(values)
    return (found[len(found) // 2], found[min(len(found) - 1, int(0.99 * len(found)))]) if found else (0.0, 0.0)


HEAD = (
    "| case | workers used | wait p50 s | wait p99 s | done p50 s | done p99 s | truths opened | TB opened "
    "| from the store GB/s | scheduler | one dispatcher |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(case: str, result: Result) -> str:
    waits = " | ".join(f"{value:.3g}" for value in (*result.wait, *result.total))
    return (
        f"| {case} | {result.used:.0%} | {waits} | {result.cold} | {result.fetched_tb:.2g} | {result.gb_per_s:.2g} "
        f"| {result.scheduler:.1%} | {result.database:.1%} |"
    )


CASES: Mapping[str, Town] = {
    "as planned": Town(),
    "the emptiest host, no placement": Town(placed=False),
    "one host for each truth": Town(copies=1),
    "four hosts for each truth": Town(copies=4),
    "cache 200 GB a host": Town(cache_mb=200 * GB),
    "50 workers": Town(workers=50),
    "200 workers": Town(workers=200),
    "twice the entries": Town(per_hour=20_000),
    "four times the entries": Town(per_hour=40_000),
    "store gives 2 GB/s": Town(store_mbps=2 * GB),
    "parts of 16 MB, up to 1024": Town(part_mb=16, most_parts=1024),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=1.0)
    chosen = parser.parse_args()
    print(HEAD)
    for case, town in CASES.items():
        print(row(case, simulate(replace(town, hours=chosen.hours))), flush=True)


if __name__ == "__main__":
    main()

"""The simulation keeps its own books: no entry is lost, work fits into workers, more workers never wait longer."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from benchmarks.load import GB, Town, challenges, rendezvous
from benchmarks.scaling import Host, Simulation, simulate

SMALL = Town(workers=8, per_hour=900, hours=0.2, truth_total=200 * GB, cache_mb=100 * GB)


def test_every_entry_is_scored_once_and_time_adds_up() -> None:
    made = Simulation(SMALL).run()
    assert made.arrived == len(made.done) == len({id(entry) for entry in made.done}) > 100
    assert all(entry.arrived <= entry.started <= entry.finished for entry in made.done)
    assert made.busy <= made.now * SMALL.workers
    assert all(host.free == SMALL.per_host and not host.parts and not host.entries for host in made.hosts)
    assert all(host.load == pytest.approx(0, abs=1e-6) for host in made.hosts)
    assert made.fetching == 0
    assert made.tasks >= made.arrived


def test_the_same_seed_gives_the_same_numbers() -> None:
    assert simulate(SMALL) == simulate(SMALL)
    assert simulate(SMALL) != simulate(replace(SMALL, seed=2))


def test_more_workers_on_a_host_wait_no_longer() -> None:
    one = Town(workers=1, per_host=1, per_hour=1500, hours=0.2, truth_total=20 * GB, cache_mb=100 * GB)
    waits = [simulate(replace(one, workers=count, per_host=count)).wait for count in (1, 2, 4, 8)]
    assert all(more[1] <= fewer[1] + 1e-9 for fewer, more in pairwise(waits))
    assert waits[-1][1] < waits[0][1]


def test_placement_opens_fewer_truths() -> None:
    placed, anywhere = (simulate(replace(SMALL, cache_mb=40 * GB, placed=placed)) for placed in (True, False))
    assert placed.cold < anywhere.cold


def test_twice_the_entries_are_twice_the_load_of_the_scheduler() -> None:
    one, two = (Simulation(replace(SMALL, per_hour=rate)).run() for rate in (900, 1800))
    assert two.scheduler.busy / one.scheduler.busy == pytest.approx(2, rel=0.25)


def test_a_host_that_goes_moves_only_its_own_challenges() -> None:
    names = [challenge.name for challenge in challenges(SMALL)]
    before, after = ({name: rendezvous(name, hosts, 1)[0] for name in names} for hosts in (25, 24))
    moved = [name for name in names if before[name] != after[name]]
    assert {before[name] for name in moved} <= {24}
    held = Counter(before.values())
    assert max(held.values()) < 6 * len(names) / 25


def test_a_full_cache_forgets_what_was_used_longest_ago() -> None:
    host = Host(free=1, room=10.0)
    for name, size in (("a", 4.0), ("b", 4.0), ("a", 4.0), ("c", 4.0)):
        host.keep(name, size)
    assert list(host.truths) == ["a", "c"]
    assert host.used == 8.0


def test_truths_add_up_to_what_was_asked() -> None:
    total = sum(challenge.truth_mb for challenge in challenges(SMALL))
    assert 0.5 * SMALL.truth_total < total <= SMALL.truth_total

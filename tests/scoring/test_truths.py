"""Opened truths: what is prepared of them is made once, kept with them, made anew when damaged, gone with them."""

import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from datasets.canonical import Array
from datasets.spec import Spec
from scoring import truths
from scoring.contracts import TruthRef
from scoring.kinds import KINDS
from scoring.kinds.pairing import TruthSet
from scoring.settings import EngineSettings
from tests.scoring.works import Works, new_settings, publish


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    return publish(tmp_path_factory.mktemp("works"), "points")


@pytest.fixture
def settings(works: Works, tmp_path: Path) -> EngineSettings:
    """The same store with nothing opened yet."""
    return replace(works.settings, scratch=tmp_path)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Slugs of the challenges an index was prepared for."""
    found: list[str] = []
    prepare = KINDS["points"].prepare

    def counted(truth: TruthSet, spec: Spec) -> Mapping[str, Array]:
        found.append(spec.challenge.slug)
        return prepare(truth, spec)

    kinds = MappingProxyType({**KINDS, "points": replace(KINDS["points"], prepare=counted)})
    monkeypatch.setattr(truths, "KINDS", kinds)
    return found


def opened(works: Works, settings: EngineSettings, *, fresh: bool = True) -> truths.Opened:
    """The truth as a process that has opened none yet finds it, or as this one does."""
    if fresh:
        truths._KEPT.clear()
    seal = works.publication.truth
    return truths.open_for(
        settings, TruthRef(version=1, digest=seal.digest, commitment=seal.commitment), works.publication.spec
    )


def same(one: truths.Opened, other: truths.Opened) -> bool:
    a, b = one.truth.prepared, other.truth.prepared
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def test_an_index_is_made_once_for_all_processes(works: Works, settings: EngineSettings, made: list[str]) -> None:
    first, second = opened(works, settings), opened(works, settings)
    assert made == ["points"]
    assert first.truth.prepared
    assert same(first, second)
    assert opened(works, settings, fresh=False) is second
    for folder in (settings.truths, first.folder, first.index):
        assert folder is not None
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_other_code_makes_its_own(
    works: Works, settings: EngineSettings, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(works, settings)
    for version in ("2", "3"):
        monkeypatch.setattr(truths, "code_version", lambda version=version: version)
        last = opened(works, settings)
    assert made == ["points"] * 3
    assert len(list(first.folder.glob("index-*"))) == truths.INDEXES
    assert last.index is not None
    assert last.index.is_dir()


def cut(index: Path) -> None:
    array = next(file for file in sorted(index.glob("*.npy")) if file.stat().st_size > 200)
    array.write_bytes(array.read_bytes()[:130])


def unfinished(index: Path) -> None:
    (index / "meta.json").unlink()


def gone(index: Path) -> None:
    shutil.rmtree(index)


@pytest.mark.parametrize("harm", [cut, unfinished, gone])
@pytest.mark.parametrize("fresh", [True, False])
def test_a_damaged_index_is_made_anew(
    works: Works, settings: EngineSettings, made: list[str], harm: Any, fresh: bool
) -> None:
    first = opened(works, settings)
    kept = {name: array.copy() for name, array in first.truth.prepared.items()}
    assert first.index is not None
    harm(first.index)
    again = opened(works, settings, fresh=fresh)
    assert len(made) == 2
    assert all((again.truth.prepared[name] == array).all() for name, array in kept.items())


def test_a_harmed_truth_is_opened_again_even_when_it_is_mapped(works: Works, settings: EngineSettings) -> None:
    first = opened(works, settings)
    values = first.truth.truth.arrays["x"].tolist()
    (first.folder / "truth" / "meta.json").write_text("{}", encoding="utf-8")
    assert opened(works, settings, fresh=False).truth.truth.arrays["x"].tolist() == values


def test_an_index_counts_and_goes_with_its_truth(tmp_path: Path, works: Works) -> None:
    own = new_settings(tmp_path)
    one, two = (publish(tmp_path, name, own) for name in ("points", "table-numbers"))
    first = opened(one, own)
    assert first.index is not None
    bare = sum(file.stat().st_size for file in (first.folder / "truth").iterdir())
    small = replace(own, cache_bytes=bare + 100)  # room for the truth of one, not for its index too
    opened(two, small)
    assert first.folder.exists(), "it was used a moment ago"
    os.utime(first.folder, (0, 0))
    opened(two, small)
    assert not first.folder.exists()
    assert same(opened(one, own), first), "what is still mapped stays readable"


def test_a_truth_that_is_removed_while_it_is_in_use_stays_readable_and_is_opened_again(
    works: Works, settings: EngineSettings
) -> None:
    first = opened(works, settings)
    shutil.rmtree(first.folder)
    again = opened(works, settings, fresh=False)
    assert again is not first
    assert same(again, first)
    assert again.folder.exists()


@pytest.mark.parametrize("step", ["index_of", "_trim", "_files"])
def test_a_truth_that_is_removed_in_the_middle_is_opened_again(
    works: Works, settings: EngineSettings, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    real: Callable[..., Any] = getattr(truths, step)
    removed: list[Path] = []

    def late(*args: Any, **options: Any) -> Any:
        if not removed:
            removed.extend(settings.truths.glob("?" * 64))
            shutil.rmtree(removed[0])
        return real(*args, **options)

    monkeypatch.setattr(truths, step, late)
    first = opened(works, settings)
    assert removed
    assert first.truth.prepared
    second = opened(works, settings, fresh=False)
    assert second.folder.exists()
    assert same(first, second)


def test_half_a_truth_is_opened_again(works: Works, settings: EngineSettings) -> None:
    first = opened(works, settings)
    (first.folder / truths.OPENED).unlink()
    assert same(opened(works, settings), first)


def test_what_killed_workers_were_making_goes(works: Works, settings: EngineSettings) -> None:
    first = opened(works, settings)
    for name in ("opening-a", "making-b", "gone-c"):
        shutil.copytree(first.folder, settings.truths / name)
    opened(works, settings)
    assert list(settings.truths.iterdir()) == [first.folder]


THRASH_S = 1.0


def thrash(settings: EngineSettings, works: list[Works]) -> Counter[str]:
    """Open truths by turns, each pushing the others out; what came of it."""
    found: Counter[str] = Counter()
    end = time.monotonic() + THRASH_S
    number = threading.get_ident()
    while time.monotonic() < end:
        number += 1
        seal, spec = works[number % len(works)].publication.truth, works[number % len(works)].publication.spec
        ref = TruthRef(version=1, digest=seal.digest, commitment=seal.commitment)
        try:
            opened = truths._open(settings, ref, f"{spec}\n# {number % 3}")
            found["good" if all(array.sum() is not None for array in opened.truth.truth.arrays.values()) else ""] += 1
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted
            found[repr(error)] += 1
    return found


OTHER = """
import sys
from pathlib import Path
from scoring import truths
from scoring.contracts import TruthRef
from scoring.settings import EngineSettings
truths.RECENT_S = -1.0
settings = EngineSettings(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], cache_bytes=1)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(12):
    for ref in sys.argv[4:]:
        digest, commitment, spec = ref.split(" ", 2)
        truths._open(settings, TruthRef(version=1, digest=digest, commitment=commitment), spec)
"""


def test_truths_that_push_each_other_out_are_all_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = new_settings(tmp_path)
    works = [publish(tmp_path, name, own) for name in ("points", "table-numbers")]
    monkeypatch.setattr(truths, "RECENT_S", -1.0)
    small = replace(own, cache_bytes=1)
    seals = [(w.publication.truth.digest, w.publication.truth.commitment, w.publication.spec) for w in works]
    command = [sys.executable, "-c", OTHER, str(own.store), str(own.scratch), own.truth_key, *map(" ".join, seals)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with ThreadPoolExecutor(3) as pool:
            found = [pool.submit(thrash, small, works) for _ in range(3)]
            other.communicate("go\n", timeout=60)
        counts = sum((future.result() for future in found), Counter())
    assert other.returncode == 0
    assert counts.keys() == {"good"}

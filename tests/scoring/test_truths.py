"""Opened truths: what is prepared of them is made once, kept with them, made anew when damaged, gone with them."""

import shutil
import stat
from collections.abc import Mapping
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
    opened(two, replace(own, cache_bytes=bare + 100))  # room for the truth of one, not for its index too
    assert not first.folder.exists()
    assert same(opened(one, own), first), "what is still mapped stays readable"

"""One bench through the engine: `python benchmarks/engine.py BENCH DIR [--cached]`, figures as one JSON line last.

DIR holds ``truth.*`` and ``pred.*`` of one kind (for rasters ``truth_cont.tif`` …). Both files go through intake in
its child process and through the same pairing, families and merges as an entry on the platform. A file that serves
several targets (a number, a probability, class probabilities) is read once and scored against each of them.

Imports and one run on the ``small`` data beside DIR come before the clock, as a warm worker has them behind it. With
``--cached`` so do reading and indexing the truth, as a worker does it once per challenge. Stage times go to stderr.
"""

import argparse
import json
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # started as a file, not as a module
    sys.path.insert(0, str(ROOT))

from benchmarks.specs import BENCHES, Bench, Target, specs_of  # noqa: E402
from datasets.canonical import Canonical  # noqa: E402
from datasets.examine import format_of_layout  # noqa: E402
from datasets.expect import Column, Expectation  # noqa: E402
from datasets.intake import intake  # noqa: E402
from datasets.spec import Spec  # noqa: E402
from datasets.threads import cores, using  # noqa: E402
from scoring.engine import Outcome, Plan, carry_out, conclude, threads  # noqa: E402
from scoring.entry import tree_peak_mib  # noqa: E402
from scoring.kinds import KINDS, table  # noqa: E402
from scoring.kinds.pairing import TruthSet  # noqa: E402
from scoring.metrics.registry import families  # noqa: E402
from scoring.rules import sample_type  # noqa: E402

Values = dict[str, float]


@dataclass
class Stages:
    """Wall seconds by stage, in the order they were first seen."""

    seconds: dict[str, float]

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


def both(expects: Sequence[Expectation]) -> Expectation:
    """One expectation with the columns of all, for a table that serves several targets.

    Only the columns of one target can be the probabilities that add up to 1: those of the target with the most.
    """
    most = max(expects, key=lambda expect: len(expect.columns))
    columns: dict[str, Column] = {}
    for expect in expects:
        for column in expect.columns:
            plain = column.type == "probability" and expect is not most
            columns[column.key] = replace(column, type="float") if plain else column
    widest = max(expects, key=lambda expect: len(expect.classes))
    return replace(
        expects[0], columns=tuple(columns.values()), classes=widest.classes, classes_open=widest.classes_open
    )


def read(path: Path, expect: Expectation, out: Path) -> Canonical:
    """A file through intake, with all cores."""
    form = format_of_layout(path.name, expect.kind)
    if form is None:
        raise SystemExit(f"{path.name} is no file of {expect.kind} data")
    return intake(path, format=form, expect=expect, out=out, threads=cores())


def packed(path: Path, room: Path) -> Path:
    """A Zarr store as the stored zip that is uploaded; any other file as it is."""
    if not path.is_dir():
        return path
    target = room / f"{path.stem}.zarr.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path))
    return target


@dataclass(frozen=True)
class Run:
    """One bench on one folder of files; ``room`` is scratch space of its own."""

    bench: Bench
    folder: Path
    room: Path
    stages: Stages
    bounds: dict[str, float] = field(default_factory=dict)

    def files(self) -> tuple[Path, Path]:
        return tuple(packed(self.folder / name, self.room) for name in (self.bench.truth, self.bench.prediction))

    def truth(self, path: Path, specs: Sequence[Spec]) -> list[TruthSet]:
        """The truth in canonical form with the index of each target."""
        with self.stages.timed("read truth"):
            form = read(path, both([Expectation.loose(spec, "truth") for spec in specs]), self.room / "truth")
        with self.stages.timed("index truth"), using(cores()):
            kind = KINDS[self.bench.kind]
            found: list[TruthSet] = []
            for spec in specs:  # the targets of one file share the index of its ids
                kept = found[-1].prepared if found else {}
                found.append(TruthSet(form, None, kind.prepare(TruthSet(form, None, kept), spec)))
            return found

    def values(self, path: Path, specs: Sequence[Spec], truths: Sequence[TruthSet]) -> Values:
        """Every target's values of the prediction at ``path``."""
        with self.stages.timed("read prediction"):
            tight = [Expectation.tight(spec, truth.truth) for spec, truth in zip(specs, truths, strict=True)]
            prediction = read(path, both(tight), self.room / "entry")
        found: Values = {}
        joined = None
        for target, spec, truth in zip(self.bench.targets, specs, truths, strict=True):
            with self.stages.timed("align"), using(cores()):
                if self.bench.kind == "table":  # the targets of one file share the join of its ids
                    joined = joined or table.join(prediction, truth.truth, spec, truth.prepared)
                    names = tuple(spec.scoring.metrics)
                    pairing = table.pair(prediction, truth, spec, joined)
                    plan = Plan(pairing, families(sample_type(spec), names), spec.scoring.options, names)
                else:
                    plan = Plan.of(spec, truth, prediction)
            with self.stages.timed("score"):
                outcome = carry_out(spec, plan, run=threads(cores()))
            found.update(values_of(target, spec, plan, outcome))
            self.bounds.update({target.metrics[name]: bound for name, bound in outcome.bounds.overall.items()})
        return found | self.bench.derived(found, truths[0].truth, prediction)


def values_of(target: Target, spec: Spec, plan: Plan, outcome: Outcome) -> Values:
    """The metrics of one target under the names of the bench; metrics at several k are read off the same states."""
    overall = outcome.scores.overall
    found = {key: value for name, key in target.metrics.items() if (value := overall[name]) is not None}
    for name, bound in outcome.bounds.overall.items():
        print(f"  {name}: ± {bound:.3g}", file=sys.stderr)
    for names, options in target.readings():
        scoring = spec.scoring.model_copy(update={"options": options})
        read_off = conclude(spec.model_copy(update={"scoring": scoring}), plan, outcome.block_states, {}).scores.overall
        found |= {key: value for name, key in names.items() if (value := read_off[name]) is not None}
    return found


def once(bench: Bench, folder: Path, *, cached: bool) -> tuple[float, Values, Mapping[str, float]]:
    """Seconds, values and seconds by stage of one run."""
    specs, stages = specs_of(bench), Stages({})
    with tempfile.TemporaryDirectory(prefix="motherlode-bench-") as name:
        run = Run(bench, folder, Path(name), stages)
        truth_file, entry_file = run.files()
        started = time.perf_counter()
        truths = run.truth(truth_file, specs)
        if cached:
            started = time.perf_counter()
        found = run.values(entry_file, specs, truths)
        return time.perf_counter() - started, found, stages.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cached", action="store_true", help="the truth is read and indexed before the clock")
    chosen = parser.parse_args()
    bench = BENCHES[chosen.bench]
    warm = chosen.folder.resolve().parent.parent / "small" / chosen.folder.name
    if warm.is_dir():
        once(bench, warm, cached=chosen.cached)
    wall, found, stages = once(bench, chosen.folder, cached=chosen.cached)
    print("  ".join(f"{name} {seconds:.3f}" for name, seconds in stages.items()), file=sys.stderr)
    print(json.dumps({"wall_s": wall, "metrics": found, "stages": dict(stages), "peak_mib": tree_peak_mib()}))


if __name__ == "__main__":
    main()

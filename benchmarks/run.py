"""Ours beside what a user would pick today and beside reading the files alone.

`./dev bench [tiny|small|medium|large] [--kinds table,raster-prob] [--repeats 3]`

Nothing is fetched: the files are made here, a function of their size alone (small 32 MB, medium 0.4 GB, large 3 GB of
disk), and a peer that is not installed is named and left out. Contenders take turns on the same files, each figure in
a fresh process (see ``measure``); the least of the repeats counts and all are kept. Writes a table, a picture and every
figure to var/bench/SIZE.md, .svg and .json; benches that are not asked for keep their figures of an earlier run. With
``--write PAGE`` table and machine also go between the marks of a Markdown page. Ends with 1 when a value of ours is not
its peers'. At size tiny, and mostly at small, a figure shows what a start costs, not what the work does.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.data import SIZES, make
from benchmarks.measure import Figure, contenders, measure
from benchmarks.report import EXACT, Row, agreement, deviation, page, plot, summary, tear, write_into
from benchmarks.specs import BENCHES

ROOT = Path(__file__).resolve().parent.parent


def chosen_benches(kinds: str) -> list[str]:
    """Benches by kind (``raster``) or name (``raster-prob``)."""
    wanted = [name.strip() for name in kinds.split(",") if name.strip()]
    unknown = [name for name in wanted if not any(name in {bench, bench.split("-")[0]} for bench in BENCHES)]
    if unknown:
        raise SystemExit(f"no bench is called {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    return [bench for bench in BENCHES if not wanted or bench in wanted or bench.split("-")[0] in wanted]


def folder_of(bench: str, size: str, data: Path) -> Path:
    """The files of a bench; made unless a folder of data was given that has them."""
    kind = BENCHES[bench].kind
    given = data / size / kind
    return given if given.is_dir() and not (given / "made.json").exists() else make(kind, size, data)


def run_bench(bench: str, size: str, data: Path, repeats: int, limit: float, slow: float) -> list[Row]:
    """All contenders in turn, all over again ``repeats`` times; slow ones once, those that cannot run not again."""
    folder, warm = folder_of(bench, size, data), folder_of(bench, "small", data)
    for file in folder.rglob("*"):
        if file.is_file():
            file.read_bytes()  # into the page cache, for everybody
    rows = [Row(name, role) for name, role in contenders(bench)]
    for _ in range(repeats):
        for row in rows:
            if row.runs and (row.runs[0].seconds is None or row.runs[0].seconds > slow):
                continue
            figure = measure(bench, row.name, folder, warm, limit)
            row.runs.append(figure)
            said = figure.note or f"{figure.seconds:8.3f} s  {figure.cpu_s:8.2f} CPU s  {figure.peak_mib:6.0f} MiB"
            print(f"{bench:17} {row.name:38} {said}", file=sys.stderr)
    return rows


def read_back(path: Path) -> dict[str, list[Row]]:
    """The benches of an earlier run, so that a part can be measured again."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    return {
        bench: [Row(row["name"], row["role"], [Figure(**run) for run in row["runs"]]) for row in rows]
        for bench, rows in kept.items()
    }


def times(text: str) -> int:
    """A number of runs."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of runs; give 1 or more")
    return int(text)


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("size", nargs="?", default="small", choices=SIZES, help="how much data; default: small")
    kinds = f"one or more of {', '.join(BENCHES)}; a kind (raster) means all of it; default: all"
    parser.add_argument("--kinds", default="", help=kinds)
    parser.add_argument("--repeats", type=times, default=3, help="runs of each contender; default: 3")
    parser.add_argument("--limit", type=float, default=300, help="seconds after which one is stopped; default: 300")
    parser.add_argument("--slow", type=float, default=45, help="who takes longer, in seconds, runs once; default: 45")
    parser.add_argument("--data", type=Path, default=ROOT / "var/bench/data", help="where files are, or are made")
    parser.add_argument("--out", type=Path, default=ROOT / "var/bench", help="where table, picture and figures go")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="a Markdown page with a place for figures")
    return parser


def main() -> None:
    chosen = options().parse_args()
    benches = chosen_benches(chosen.kinds)
    if chosen.write:
        tear(chosen.write)  # before the work: a page without a place would be found out at its end
    chosen.out.mkdir(parents=True, exist_ok=True)
    kept = chosen.out / f"{chosen.size}.json"
    results = read_back(kept)
    for bench in benches:
        results[bench] = run_bench(bench, chosen.size, chosen.data, chosen.repeats, chosen.limit, chosen.slow)
        results = {name: results[name] for name in BENCHES if name in results}
        plain = {
            name: [{"name": row.name, "role": row.role, "runs": [run.plain() for run in row.runs]} for row in rows]
            for name, rows in results.items()
        }
        kept.write_text(json.dumps(plain, indent=1), encoding="utf-8")
        kept.with_suffix(".md").write_text(page(results, chosen.size, chosen.repeats), encoding="utf-8")
        kept.with_suffix(".svg").write_text(plot(results, chosen.size), encoding="utf-8")
    print("\n".join(summary(results)))
    print(f"every contender: {kept.with_suffix('.md')}; the picture: {kept.with_suffix('.svg')}", file=sys.stderr)
    if chosen.write:
        write_into(chosen.write, page(results, chosen.size, chosen.repeats))
    apart = {bench: agreement(rows) for bench, rows in results.items() if deviation(rows)[0] > EXACT}
    for bench, said in apart.items():
        print(f"{bench}: values differ: {said}", file=sys.stderr)
    sys.exit(bool(apart))


if __name__ == "__main__":
    main()

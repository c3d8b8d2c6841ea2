"""``challenge new``: a commented challenge directory from a sponsor's data files.

Files already under public/, hidden/ and sample/ stay there. Loose files are sorted by name: what looks like the answer
goes to hidden/, what looks like a sample to sample/, the rest to public/. The truth is moved, never copied.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tomlkit

from datasets.detect import Detected, detect
from datasets.errors import Fault, SpecError
from datasets.spec import TOML, load_spec

ANSWER_WORDS = ("truth", "hidden", "answer", "solution", "target", "secret")
SAMPLE_WORDS = ("sample", "submission", "baseline")
ROOMS = ("public", "hidden", "sample")
OPEN_DAYS = 90

COMMENTS: Mapping[str, str] = {
    "challenge": "What the front page shows.",
    "schedule": "Times carry an offset; they are stored in UTC.",
    "truth": "The hidden answer: sealed when the challenge is published.",
    "submission": "What an expert uploads; values outside `range = [low, high]` are refused where it is given.",
    "blocks": "The unit of the split into public and private board; `public` is the public share.",
    "scoring": "`primary` decides the rank; docs/metrics.md lists all metrics.",
    "bounty": 'Prizes, for example prizes = [{rank = 1, amount = "1000.00"}]; together at most the pool.',
}
OVERVIEW = """# {title}

What is to be predicted, why it matters, and what an expert should know about the data.

## Data

{files}

## What to upload

One file like `sample/{sample}`, which is a valid entry.
"""
AGREEMENT = """# Data agreement

1. The data are the property of the sponsor. They may be used to take part in this challenge and for nothing else.
2. They may not be passed on. Copies are deleted when the challenge is settled.
3. Entries are the work of the team that uploads them; outside data that hold the answer may not be used.
4. A winner shows the judges how the entry was made before a prize is paid.
"""


@dataclass(frozen=True)
class Scaffold:
    """What was made: ``notes`` say what was guessed, ``faults`` what is still missing; none means it is complete."""

    folder: Path
    kind: str | None
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


def new(folder: Path, files: Sequence[Path] = (), *, now: datetime) -> Scaffold:
    """Make ``folder`` a challenge directory out of the data files in it and of copies of ``files``.

    Raises:
        SpecError: there is a challenge.toml already; nothing was touched.
    """
    if (folder / TOML).exists():
        raise SpecError([Fault(TOML, "", f"is already in {folder}.", "Edit it, or move it away first.")])
    for room in ROOMS:
        (folder / room).mkdir(parents=True, exist_ok=True)
    _sort_files(folder, files)
    truths, public = _files(folder / "hidden"), _files(folder / "public")
    truth = min(truths, key=lambda path: (not _sounds_like(path, ANSWER_WORDS), path.name), default=None)
    detected = detect(truth, public) if truth else None
    notes = list(detected.notes if detected else ())
    if len(truths) > 1 and truth:
        notes.append(f"hidden/ holds several files; {truth.name} was taken as the truth.")
    if detected and detected.write_sample and not _files(folder / "sample"):
        detected.write_sample(folder / "sample" / detected.sample_name)
    _write_texts(folder, truth, detected, now)
    return Scaffold(folder, detected.kind if detected else None, tuple(notes), tuple(_faults(folder, truth, detected)))


def _sort_files(folder: Path, files: Sequence[Path]) -> None:
    loose = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for path in loose:
        if path.name not in {"overview.md", "agreement.md"}:
            path.rename(folder / _room(path) / path.name)
    for path in files:
        shutil.copyfile(path, folder / _room(path) / path.name)


def _room(path: Path) -> str:
    if _sounds_like(path, SAMPLE_WORDS):
        return "sample"
    return "hidden" if _sounds_like(path, ANSWER_WORDS) else "public"


def _sounds_like(path: Path, words: Sequence[str]) -> bool:
    return any(word in path.stem.lower() for word in words)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _write_texts(folder: Path, truth: Path | None, detected: Detected | None, now: datetime) -> None:
    title = folder.resolve().name.replace("-", " ").replace("_", " ").capitalize() or "New challenge"
    sample = next(iter(_files(folder / "sample")), Path("…")).name
    listed = "\n".join(f"- `{path.relative_to(folder).as_posix()}`:" for path in _files(folder / "public"))
    for name, text in (
        ("overview.md", OVERVIEW.format(title=title, files=listed, sample=sample)),
        ("agreement.md", AGREEMENT),
    ):
        if not (folder / name).exists():
            (folder / name).write_text(text, encoding="utf-8")
    place = truth.relative_to(folder).as_posix() if truth else "hidden/truth.csv"
    sections = dict(_sections(_slug(folder), title, place, detected, now))
    (folder / TOML).write_text(_toml(sections), encoding="utf-8")


def _sections(
    slug: str, title: str, truth: str, detected: Detected | None, now: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    opens = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    head = {"slug": slug, "title": title, "sponsor": "Sponsor", "kind": detected.kind if detected else "table"}
    yield "challenge", {**head, "summary": "", "tags": []}
    yield "schedule", {"opens": opens, "closes": opens + timedelta(days=OPEN_DAYS)}
    yield "truth", {"file": truth, **(detected.truth if detected else {})}
    yield "submission", {**(detected.submission if detected else {}), "max_bytes": "200 MB", "per_day": 5, "finals": 2}
    if detected and detected.blocks:
        yield "blocks", detected.blocks
    yield "scoring", detected.scoring if detected else {"primary": "rmse", "metrics": ["rmse"]}
    yield "bounty", {"currency": "USD", "pool": "0.00", "prizes": []}


def _toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    document = tomlkit.document()
    for name, values in sections.items():
        table = tomlkit.table()
        table.comment(COMMENTS[name])
        for key, value in values.items():
            table.add(key, value)
        document.add(name, table)
    return tomlkit.dumps(document)


def _slug(folder: Path) -> str:
    letters = "".join(
        letter if letter.isascii() and letter.isalnum() else " " for letter in folder.resolve().name.lower()
    )
    return "-".join(letters.split())[:64].strip("-") or "new-challenge"


def _faults(folder: Path, truth: Path | None, detected: Detected | None) -> Iterator[Fault]:
    if truth is None:
        yield Fault("hidden/", "", "holds no truth.", "Put the hidden answer there and run the command again.")
    elif detected is None:
        remedy = "Use CSV, Parquet, GeoJSON, GeoPackage, GeoTIFF, NetCDF or zipped Zarr, or fill in challenge.toml."
        yield Fault(truth.relative_to(folder).as_posix(), "", "is in no format that is known.", remedy)
    try:
        load_spec(folder)
    except SpecError as error:
        yield from error.faults

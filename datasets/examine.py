"""Is a challenge directory publishable? Every fault at once, each with file, key and remedy.

The sponsor's files are hostile too: they are read through intake like any upload. What only scoring knows (metrics,
whether the sample covers the truth) comes in as ``Checks``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from datasets.canonical import Canonical
from datasets.digest import digest_file
from datasets.errors import Fault, Finding, Rejected, SpecError
from datasets.expect import Expectation, Role
from datasets.intake import intake
from datasets.manifest import is_release_path
from datasets.spec import FORMATS, SUFFIXES, Spec, load_spec, sample_file

MAX_TEXT_BYTES = 1_000_000
MAX_PUBLIC_FILES = 5_000
TEXTS = ("overview.md", "agreement.md")
TOTAL = 1e-300, 1e300  # of all weights of a truth
WEIGHTS = 1 << 20  # added up at a time


@dataclass(frozen=True)
class Checks:
    """What scoring adds: faults of [scoring], and findings of a sample against the truth (or grid) it must cover."""

    metrics: Callable[[Spec], Sequence[Fault]]
    coverage: Callable[[Canonical, Canonical, Spec], Sequence[Finding]]


@dataclass(frozen=True)
class Examined:
    """A directory as read: canonical forms where they could be read, and every fault."""

    spec: Spec | None
    faults: tuple[Fault, ...]
    truth: Canonical | None = None
    grid: Canonical | None = None
    sample: Canonical | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def examine(folder: Path, work: Path, *, checks: Checks) -> Examined:
    """Read and check the challenge directory ``folder``; canonical forms go to ``work``/{truth,grid,sample}.

    Raises:
        EngineFault: a reader could not be started; the directory is not to blame.
    """
    faults = [*_text_faults(folder), *_leak_faults(folder), *_name_faults(folder)]
    try:
        spec = load_spec(folder)
    except SpecError as error:
        return Examined(None, (*error.faults, *faults))
    faults += checks.metrics(spec)
    grid, found = (
        _read(folder, spec.truth.grid, Expected(spec, "grid", "raster"), work) if spec.truth.grid else (None, [])
    )
    faults += found
    layout = "points" if spec.truth.grid else spec.challenge.kind
    truth, found = _read(folder, spec.truth.file, Expected(spec, "truth", layout, grid), work)
    faults += found
    if truth is not None:
        faults += _weight_faults(spec.truth.file, truth)
    sample = None
    template = grid if spec.truth.grid else truth
    if template is not None:
        name = sample_file(folder).relative_to(folder).as_posix()
        sample, found = _read(folder, name, Expected(spec, "entry", spec.challenge.kind, template), work)
        faults += found
        if sample is not None:
            faults += [_fault(name, finding) for finding in checks.coverage(sample, template, spec)]
    return Examined(spec, tuple(faults), truth, grid, sample, _facts(truth, grid))


@dataclass(frozen=True)
class Expected:
    """Which file of a directory is read, as what: its role, its layout and what it must agree with."""

    spec: Spec
    role: Role
    layout: str
    template: Canonical | None = None

    def expectation(self) -> Expectation:
        if self.template is None:
            return Expectation.loose(self.spec, self.role)
        return Expectation.tight(self.spec, self.template, self.role)


def release_files(folder: Path) -> dict[str, Path]:
    """Files that experts download as they are: everything under public/ and sample/ but dot files, by path."""
    found = [path for top in ("public", "sample") for path in (folder / top).rglob("*")]
    plain = [path for path in found if path.is_file() and not path.is_symlink() and not path.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path for path in sorted(plain)}


def format_of_layout(name: str, layout: str) -> str | None:
    """The format that a file name's ending means for a layout, or None: ("a.tif", "raster") gives "geotiff"."""
    lower = name.lower()
    return next((form for form in FORMATS[layout] if lower.endswith(SUFFIXES[form])), None)


def _read(folder: Path, name: str, expected: Expected, work: Path) -> tuple[Canonical | None, list[Fault]]:
    form = format_of_layout(name, expected.layout)
    if form is None:
        endings = ", ".join(suffix for known in FORMATS[expected.layout] for suffix in SUFFIXES[known])
        return None, [Fault(name, "", f"is no file of {expected.layout} data.", f"Endings taken are {endings}.")]
    part = "sample" if expected.role == "entry" else expected.role
    try:
        read = intake(folder / name, format=form, expect=expected.expectation(), out=work / part)
    except Rejected as rejected:
        return None, [_fault(name, finding) for finding in rejected.findings]
    return read, []


def _fault(name: str, finding: Finding) -> Fault:
    place = ", ".join(f"{key} {value}" for key, value in finding.where.items())
    return Fault(name, place, f"{finding.code}: {finding.message}", finding.hint or "Mend the file.")


def _weight_faults(name: str, truth: Canonical) -> list[Fault]:
    """Means are sums over the sum of all weights, which has to be a number that can be divided by."""
    if "weight" not in truth.arrays:
        return []
    weights = truth.arrays["weight"].reshape(-1)
    starts = range(0, len(weights), WEIGHTS)
    with np.errstate(over="ignore"):
        total = sum(float(np.nansum(weights[start : start + WEIGHTS], dtype=np.float64)) for start in starts)
    low, high = TOTAL
    if low <= total <= high:
        return []
    message = f"the weights add up to {total:g}, which is not between {low:g} and {high:g}."
    return [Fault(name, "weight", message, "Give weights around 1, at least one of them above 0.")]


def _facts(truth: Canonical | None, grid: Canonical | None) -> dict[str, Any]:
    """Sizes for the sponsor, such as {"truth": {"rows": 12}}; shapes only, never a value."""
    parts = {"truth": truth, "grid": grid}
    return {name: _size(part) for name, part in parts.items() if part is not None}


def _size(part: Canonical) -> dict[str, Any]:
    for name in ("band", "data"):
        if name in part.arrays:
            return {"shape": list(part.arrays[name].shape)}
    lengths = {"points": ("x", 0), "polygons": ("features", 1)}
    if part.kind in lengths:
        name, less = lengths[part.kind]
        return {"features": len(part.arrays[name]) - less}
    return {"rows": part.attrs.get("rows")}


def _text_faults(folder: Path) -> Iterator[Fault]:
    for name in TEXTS:
        path = folder / name
        if not path.is_file():
            continue  # load_spec reports it
        if path.stat().st_size > MAX_TEXT_BYTES:
            yield Fault(name, "", "is larger than 1 MB.", "Move what is long into a file under public/.")
            continue
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            yield Fault(name, f"byte {error.start}", "is not UTF-8 text.", "Save it as UTF-8.")


def _leak_faults(folder: Path) -> Iterator[Fault]:
    """A public file that is also a hidden one gives the answer away."""
    hidden = _hidden_digests(folder)
    for name, path in release_files(folder).items():
        twin = hidden.get(path.stat().st_size, {}).get(digest_file(path)) if path.stat().st_size in hidden else None
        if twin is not None:
            yield Fault(
                name, "", f"is byte for byte the hidden file {twin}.", "Remove it: everybody would hold the answer."
            )


def _hidden_digests(folder: Path) -> dict[int, dict[str, str]]:
    """Hidden files by size, then by digest; empty files tell nothing and are left out."""
    found: dict[int, dict[str, str]] = {}
    for path in sorted((folder / "hidden").rglob("*")) if (folder / "hidden").is_dir() else ():
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            found.setdefault(path.stat().st_size, {})[digest_file(path)] = path.relative_to(folder).as_posix()
    return found


def _name_faults(folder: Path) -> Iterator[Fault]:
    files = release_files(folder)
    if len(files) > MAX_PUBLIC_FILES:
        yield Fault(
            "public/", "", f"holds {len(files):,} files.", f"At most {MAX_PUBLIC_FILES:,}; zip small ones together."
        )
    yield from _odd_names(files)
    for name in files:
        if PurePosixPath(name).name.lower().endswith(".aux.xml"):
            yield Fault(name, "", "is a statistics sidecar and may tell of hidden cells.", "Remove it.")


def _odd_names(names: Iterable[str]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for name in names:
        if not is_release_path(name):
            yield Fault(repr(name), "", "is no portable file name.", "Use printable letters, at most 240 in all.")
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield Fault(name, "", f"differs only in case from {other}.", "Rename one: some systems cannot hold both.")

"""Reading challenge.toml, the one challenge file everybody reads: form, command line, validator and engine.

``parse_spec`` reads the text, ``load_spec`` also looks at the directory. Both report every fault at once, each
with file, key and remedy. What a key means stands in docs/formats.md. Two conventions worth knowing here:
``submission.probabilities`` with a single class is a binary forecast of that class, and class labels are text
everywhere (``1`` and ``"1"`` are the same label).
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import ValidationError

from datasets.errors import Fault, SpecError
from datasets.spec_models import (
    COMMON_SUBMISSION,
    FORMATS,
    KIND_KEYS,
    SECTIONS,
    SUFFIXES,
    Blocks,
    Bounty,
    Kind,
    Section,
    Spec,
    Submission,
)

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "TOML",
    "Blocks",
    "Bounty",
    "Kind",
    "Spec",
    "Submission",
    "format_of",
    "load_spec",
    "parse_spec",
    "sample_file",
]

TOML = "challenge.toml"
COS_LAT = "cos_lat"  # a grid's weight: the cosine of the latitude


def parse_spec(text: str) -> Spec:
    """Read the text of a challenge.toml.

    Raises:
        SpecError: with every fault found, not only the first.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError([Fault(TOML, "", f"is not valid TOML: {error}.", "Mend the line it names.")]) from error
    faults = [
        Fault(TOML, name, "is not a section.", f"Sections are {', '.join(SECTIONS)}.")
        for name in raw
        if name not in SECTIONS
    ]
    parts: dict[str, Section] = {}
    for name, model in SECTIONS.items():
        if name in raw:
            section, wrong = _read_section(name, model, raw[name])
            faults.extend(wrong)
            if section is not None:
                parts[name] = section
        elif name != "blocks":
            faults.append(Fault(TOML, name, "is missing.", f"Add a section [{name}]."))
    faults.extend(_cross_faults(_kind_of(raw), parts))
    if faults:
        raise SpecError(faults)
    return _with_defaults(Spec.model_validate({**parts, "toml": text}))


def _with_defaults(spec: Spec) -> Spec:
    entry = spec.submission
    filled: dict[str, Any] = {"formats": entry.formats or FORMATS[spec.challenge.kind]}
    if spec.challenge.kind == "raster":
        filled["meaning"] = entry.meaning or ("probability" if spec.truth.grid else "continuous")
    if spec.challenge.kind == "grid":
        filled["variable"] = entry.variable or spec.truth.variable
        filled["member"] = entry.member or spec.truth.member
    return spec.model_copy(update={"submission": entry.model_copy(update=filled)})


def _read_section(name: str, model: type[Section], raw: Any) -> tuple[Section | None, list[Fault]]:
    """A section and its faults. Unknown keys are set aside first, so that they hide no other fault."""
    if not isinstance(raw, Mapping):
        return None, [Fault(TOML, name, "is not a section.", f"Write it as [{name}] with keys below.")]
    keys = ", ".join(model.model_fields)
    faults = [
        Fault(TOML, f"{name}.{key}", "is not a known key.", f"Keys of [{name}] are {keys}.")
        for key in raw
        if key not in model.model_fields
    ]
    try:
        return model.model_validate({key: value for key, value in raw.items() if key in model.model_fields}), faults
    except ValidationError as error:
        return None, [*faults, *_faults_of(name, error)]


def load_spec(folder: Path) -> Spec:
    """Read ``folder/challenge.toml`` and check that the files it needs are there.

    Raises:
        SpecError: with every fault of the text and of the directory.
    """
    path = folder / TOML
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError(
            [Fault(TOML, "", f"is missing in {folder}.", "Make one with `motherlode challenge new DIR`.")]
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Fault(TOML, "", f"cannot be read: {error}.", "Save it as UTF-8 text.")]) from error
    faults: list[Fault] = []
    spec = None
    try:
        spec = parse_spec(text)
    except SpecError as error:
        faults.extend(error.faults)
    faults.extend(_directory_faults(folder, spec))
    if faults or spec is None:
        raise SpecError(faults)
    return spec


def sample_file(folder: Path) -> Path:
    """The one file of ``folder/sample``; load_spec has made sure that there is exactly one."""
    (found,) = _visible_files(folder / "sample")
    return found


def format_of(name: str, kind: str) -> str | None:
    """The format a file name's ending means for a kind, or None: ("map.tif", "raster") gives "geotiff"."""
    lower = name.lower()
    return next((fmt for fmt in FORMATS[kind] if lower.endswith(SUFFIXES[fmt])), None)


def _faults_of(section: str, error: ValidationError) -> Iterator[Fault]:
    seen = set()
    for item in error.errors():
        # A union names its branch in the path ("tuple[…]", "constrained-float"); people only want the key.
        steps = [str(step) for step in item["loc"] if str(step).isidentifier() or isinstance(step, int)]
        place = ".".join([section, *(step for step in steps if step != "float")])
        if place in seen:
            continue
        seen.add(place)
        if item["type"] == "missing":
            yield Fault(TOML, place, "is missing.", "Add it; docs/formats.md shows an example of every key.")
        elif item["type"] == "extra_forbidden":
            yield Fault(TOML, place, "is not a known key.", "Take it out.")
        else:
            message = item["msg"].removeprefix("Value error, ")
            if item["loc"]:
                reads = f"It reads {_short(item.get('input'))}; write a valid value."
                yield Fault(TOML, place, f"is not right: {message}.", reads)
            else:
                yield Fault(TOML, place, f"does not add up: {message}.", "Change the values in this section.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _kind_of(raw: Mapping[str, Any]) -> str | None:
    """The kind as far as it can be told, so that a fault elsewhere in [challenge] hides no other."""
    head = raw.get("challenge")
    kind = head.get("kind") if isinstance(head, Mapping) else None
    return kind if kind in get_args(Kind) else None


def _cross_faults(kind: str | None, parts: Mapping[str, Any]) -> Iterator[Fault]:
    scoring = parts.get("scoring")
    if scoring and scoring.primary not in scoring.metrics:
        yield Fault(
            TOML,
            "scoring.primary",
            f"{scoring.primary!r} is not among scoring.metrics.",
            f"Add it, or name one that is there: {', '.join(scoring.metrics)}.",
        )
    if kind == "judged":
        kinds = ", ".join(get_args(Kind)[:-1])
        yield Fault(TOML, "challenge.kind", "'judged' cannot be scored by this engine.", f"Use one of {kinds}.")
    elif kind is not None:
        for name in ("truth", "submission"):
            if name in parts:
                yield from _kind_faults(kind, name, parts[name])
        if "submission" in parts:
            yield from _submission_faults(kind, parts["submission"])
        if parts.get("blocks"):
            yield from _block_faults(kind, parts["blocks"])


def _kind_faults(kind: str, name: str, section: Section) -> Iterator[Fault]:
    required, optional = KIND_KEYS[kind][name]
    common = ("file",) if name == "truth" else COMMON_SUBMISSION
    for key in required:
        if getattr(section, key) is None:
            yield Fault(
                TOML,
                f"{name}.{key}",
                f"is missing; a {kind} challenge needs it.",
                "Add it; docs/formats.md shows an example.",
            )
    for key in sorted(section.model_fields_set - {*required, *optional, *common}):
        allowed = ", ".join((*common, *required, *optional))
        yield Fault(
            TOML, f"{name}.{key}", f"does not belong to a {kind} challenge.", f"Take it out; keys here are {allowed}."
        )
    if kind == "grid" and getattr(section, "weight", None) not in {None, COS_LAT}:
        yield Fault(TOML, "truth.weight", "is not a weight of grids.", f'Write weight = "{COS_LAT}", or take it out.')


def _submission_faults(kind: str, submission: Submission) -> Iterator[Fault]:
    for name in submission.formats:
        if name not in FORMATS[kind]:
            yield Fault(
                TOML,
                "submission.formats",
                f"{name!r} is not a format of {kind} entries.",
                f"Choose from {', '.join(FORMATS[kind])}.",
            )
    if kind == "table" and (submission.prediction is None) == (submission.probabilities is None):
        yield Fault(
            TOML,
            "submission",
            "needs either prediction or probabilities.",
            'Write prediction = "column", or probabilities = {"class" = "column"}.',
        )
    if kind == "points" and submission.rank and submission.confidence:
        yield Fault(
            TOML,
            "submission.rank",
            "and submission.confidence exclude each other.",
            "Keep the one that orders the targets.",
        )


def _block_faults(kind: str, blocks: Blocks) -> Iterator[Fault]:
    spatial = kind in {"points", "polygons", "raster"}
    wanted, other = ("size", "by") if spatial else ("by", "size")
    if getattr(blocks, wanted) is None:
        meaning = (
            "the edge of a square tile in CRS units"
            if spatial
            else "a truth column"
            if kind == "table"
            else "a dimension"
        )
        yield Fault(
            TOML,
            f"blocks.{wanted}",
            f"is missing; a {kind} challenge is cut by it.",
            f"Write {wanted} = {meaning}, or leave [blocks] out.",
        )
    if getattr(blocks, other) is not None:
        yield Fault(TOML, f"blocks.{other}", f"does not belong to a {kind} challenge.", f"Use blocks.{wanted}.")
    if blocks.buffer and not spatial:
        yield Fault(
            TOML,
            "blocks.buffer",
            f"does not belong to a {kind} challenge.",
            "Take it out: a buffer is a distance on the map.",
        )


def _visible_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _directory_faults(folder: Path, spec: Spec | None) -> Iterator[Fault]:
    for name in ("overview.md", "agreement.md"):
        path = folder / name
        if not path.is_file() or not path.read_text(encoding="utf-8", errors="replace").strip():
            yield Fault(name, "", "is missing or empty.", "Write it in Markdown; experts read it before anything else.")
    for name in ("public", "sample"):
        if not (folder / name).is_dir() or not _visible_files(folder / name):
            yield Fault(f"{name}/", "", "is missing or empty.", "Put the files that experts download there.")
    for path in folder.rglob("*"):
        if path.is_symlink():
            yield Fault(str(path.relative_to(folder)), "", "is a symbolic link.", "Replace it by the file itself.")
    yield from _sample_faults(folder, spec)
    if spec is not None:
        yield from _truth_faults(folder, spec)


def _sample_faults(folder: Path, spec: Spec | None) -> Iterator[Fault]:
    samples = _visible_files(folder / "sample") if (folder / "sample").is_dir() else []
    if len(samples) > 1:
        yield Fault("sample/", "", f"holds {len(samples)} files.", "Keep exactly one valid submission there.")
    if spec is None or len(samples) != 1:
        return
    if format_of(samples[0].name, spec.challenge.kind) not in spec.submission.formats:
        formats = ", ".join(spec.submission.formats)
        yield Fault(f"sample/{samples[0].name}", "", "is not in a format of the challenge.", f"Formats are {formats}.")


def _truth_faults(folder: Path, spec: Spec) -> Iterator[Fault]:
    for key, wanted in {"truth.file": spec.truth.file, "truth.grid": spec.truth.grid}.items():
        if wanted is not None and not (folder / wanted).is_file():
            yield Fault(TOML, key, f"names {wanted}, which is not there.", "Put the file there or mend the path.")
    if PurePosixPath(spec.truth.file).parts[0] != "hidden":
        yield Fault(
            TOML, "truth.file", f"{spec.truth.file} does not lie under hidden/.", "Move it: only hidden/ is sealed."
        )

"""What intake should find in a file: names, types, counts, grid and CRS. Free of truth values, and plain JSON.

``Expectation.loose`` comes from the spec alone and reads a sponsor's truth, sample or grid file; ``Expectation.tight``
adds what a canonical template fixes (id types and count, CRS, shape, labels, classes) and reads entries.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from datasets.canonical import Canonical, unpack_text
from datasets.spec import FORMATS, Spec

Role = Literal["entry", "truth", "grid"]
ColumnType = Literal["auto", "int", "float", "text", "class", "probability", "weight"]
# Metrics that read classes: their table target is a class even when it is written in digits.
CLASS_METRICS = frozenset(
    (
        "accuracy",
        "balanced_accuracy",
        "f1_micro",
        "f1_macro",
        "f1_weighted",
        "cohen_kappa",
        "matthews_corrcoef",
        "mean_iou",
        "penalty_matrix",
    )
)
CATEGORY_METRICS = ("rps", "rpss")
MAX_FEATURES = 2_000_000
MAX_ROWS = 500_000_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its header in the file and its name in the canonical form."""

    name: str
    key: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class Axis:
    """A dimension of a grid and its labels; ``type`` is number, text or time (int64 ns since 1970 UTC)."""

    name: str
    type: Literal["number", "text", "time"]
    labels: tuple[float | int | str, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a file should hold. ``None`` means: whatever the file says.

    ``kind`` is the canonical layout asked for; ``crs`` WKT (``crs_fixed`` with ``crs`` None: local coordinates);
    ``shape`` (height, width); ``transform`` affine a b c d e f in CRS units; ``low``/``high`` the legal range.
    """

    kind: str
    role: Role
    formats: tuple[str, ...]
    max_bytes: int
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    classes: tuple[str, ...] = ()
    classes_open: bool = True
    low: float | None = None
    high: float | None = None
    crs: str | None = None
    crs_fixed: bool = False
    projected: bool = False
    rank: str | None = None
    confidence: str | None = None
    value: str | None = None
    weight: str | None = None
    label: str | None = None
    max_features: int = MAX_FEATURES
    band: int = 1
    meaning: str | None = None
    shape: tuple[int, int] | None = None
    transform: tuple[float, ...] | None = None
    resample: str | None = None
    variable: str | None = None
    member: str | None = None
    axes: tuple[Axis, ...] = ()
    edges: str | None = None

    @classmethod
    def loose(cls, spec: Spec, role: Role = "entry") -> Self:
        """What the spec alone says. Role "grid" reads ``truth.grid``; then role "truth" of a raster reads points."""
        kind = _layout(spec, role)
        base = cls(
            kind=kind,
            role=role,
            formats=_formats(spec, role, kind),
            max_bytes=int(spec.submission.max_bytes) if role == "entry" else 1 << 40,
        )
        build = {"table": _table, "points": _points, "polygons": _polygons, "raster": _raster, "grid": _grid}[kind]
        return replace(base, **build(spec, role))

    @classmethod
    def tight(cls, spec: Spec, template: Canonical, role: Role = "entry") -> Self:
        """What the spec says and ``template`` fixes; the template is a canonical truth, sample or grid file.

        For points and polygons of role "truth" a raster template gives the CRS.
        """
        loose = cls.loose(spec, role)
        tighten = {
            "table": _like_table,
            "points": _like_vector,
            "polygons": _like_vector,
            "raster": _like_raster,
            "grid": _like_grid,
        }[loose.kind]
        return replace(loose, **tighten(loose, template))

    def to_json(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, default=asdict, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        raw = json.loads(text)
        raw["columns"] = tuple(Column(**item) for item in raw["columns"])
        raw["axes"] = tuple(Axis(item["name"], item["type"], tuple(item["labels"])) for item in raw["axes"])
        for name in ("formats", "classes", "shape", "transform"):
            raw[name] = None if raw[name] is None else tuple(raw[name])
        return cls(**raw)

    def cells(self) -> int | None:
        """Number of values the canonical form will hold, where the expectation knows it."""
        if self.kind == "table" and self.rows is not None:
            return self.rows * len(self.columns)
        if self.kind == "raster" and self.shape is not None:
            return self.shape[0] * self.shape[1]
        if self.kind == "grid" and self.axes:
            total = 1
            for axis in self.axes:
                total *= len(axis.labels)
            return total
        return None


def _layout(spec: Spec, role: Role) -> str:
    kind = spec.challenge.kind
    return "points" if kind == "raster" and role == "truth" and spec.truth.grid else kind


def _formats(spec: Spec, role: Role, kind: str) -> tuple[str, ...]:
    return spec.submission.formats if role == "entry" and spec.submission.formats else FORMATS[kind]


def _is_class_target(spec: Spec) -> bool:
    return bool(spec.truth.classes or spec.submission.probabilities or CLASS_METRICS & set(spec.scoring.metrics))


def _table(spec: Spec, role: Role) -> dict[str, Any]:
    truth, submission = spec.truth, spec.submission
    columns = [Column(name, f"id.{i}", "auto") for i, name in enumerate(truth.id or ())]
    target: ColumnType = "class" if _is_class_target(spec) else "float"
    if role == "truth":
        columns.append(Column(truth.target or "", f"value.{truth.target}", target))
        if truth.weight:
            columns.append(Column(truth.weight, "weight", "weight"))
        if spec.blocks and spec.blocks.by:
            columns.append(Column(spec.blocks.by, "block", "text"))
    elif submission.probabilities:
        columns += [
            Column(name, f"value.{name}", "probability") for name in dict.fromkeys(submission.probabilities.values())
        ]
    else:
        columns.append(Column(submission.prediction or "", f"value.{submission.prediction}", target))
    return {"columns": tuple(columns), **_classes(spec), **_range(spec, role)}


def _classes(spec: Spec) -> dict[str, Any]:
    return {"classes": spec.truth.classes or (), "classes_open": not spec.truth.classes}


def _range(spec: Spec, role: Role) -> dict[str, Any]:
    if role != "entry" or spec.submission.range is None:
        return {}
    return {"low": spec.submission.range[0], "high": spec.submission.range[1]}


def _points(spec: Spec, role: Role) -> dict[str, Any]:
    if role != "entry":
        return {"value": spec.truth.value, "weight": spec.truth.weight, "projected": spec.truth.radius is not None}
    submission = spec.submission
    return {
        "rank": submission.rank,
        "confidence": submission.confidence,
        "max_features": submission.max_features or MAX_FEATURES,
    }


def _polygons(spec: Spec, role: Role) -> dict[str, Any]:
    if role != "entry":
        return {"label": spec.truth.label}
    submission = spec.submission
    return {
        "confidence": submission.confidence,
        "label": submission.label,
        "max_features": submission.max_features or MAX_FEATURES,
    }


def _raster(spec: Spec, role: Role) -> dict[str, Any]:
    if role == "grid":
        return {"band": 1}
    band = spec.truth.band if role == "truth" else spec.submission.band
    meaning = spec.submission.meaning
    if role == "truth" and meaning == "probability":
        meaning = "categorical"
    return {
        "band": band or 1,
        "meaning": meaning,
        "resample": spec.submission.resample,
        **_classes(spec),
        **_range(spec, role),
    }


def _grid(spec: Spec, role: Role) -> dict[str, Any]:
    own = spec.truth.variable if role == "truth" else spec.submission.variable or spec.truth.variable
    member = None if role == "truth" else spec.submission.member or spec.truth.member
    return {"variable": own, "member": member, "edges": _edges(spec) if role == "truth" else None, **_range(spec, role)}


def _edges(spec: Spec) -> str | None:
    """The variable of the truth file that cuts the categories of rps and rpss, cell by cell."""
    named = [spec.scoring.options.get(name, {}).get("edges") for name in CATEGORY_METRICS]
    return next((str(name) for name in named if isinstance(name, str)), None)


def _like_table(loose: Expectation, template: Canonical) -> dict[str, Any]:
    columns = tuple(
        replace(column, type=_id_type(template, column)) if column.type == "auto" else column
        for column in loose.columns
    )
    classes = loose.classes or tuple(template.attrs.get("classes") or ())
    return {"columns": columns, "rows": int(template.attrs["rows"]), "classes": classes}


def _id_type(template: Canonical, column: Column) -> ColumnType:
    array = template.arrays.get(column.key)
    if array is None:
        return "text"
    return "int" if array.dtype.kind == "i" else "float"


def _like_vector(loose: Expectation, template: Canonical) -> dict[str, Any]:
    return {"crs": template.attrs.get("crs"), "crs_fixed": True, "projected": loose.projected}


def _like_raster(loose: Expectation, template: Canonical) -> dict[str, Any]:
    height, width = template.arrays["band"].shape
    transform = tuple(float(value) for value in template.attrs["transform"])
    classes = loose.classes or tuple(template.attrs.get("classes") or ())
    return {
        "crs": template.attrs.get("crs"),
        "crs_fixed": True,
        "shape": (height, width),
        "transform": transform,
        "classes": classes,
    }


def _like_grid(loose: Expectation, template: Canonical) -> dict[str, Any]:
    member = template.attrs.get("member")
    axes = tuple(_axis(template, name) for name in template.attrs["dims"] if name not in {member, loose.member})
    return {"axes": axes}


def _axis(template: Canonical, name: str) -> Axis:
    kind = template.attrs["axis_types"][name]
    labels: Mapping[str, Any] = template.arrays
    if kind == "text":
        return Axis(name, "text", tuple(unpack_text(template.arrays, f"coord.{name}")))
    return Axis(name, kind, tuple(labels[f"coord.{name}"].tolist()))

"""The sections of challenge.toml as frozen models, and which keys belong to which kind."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator

from datasets.money import is_currency, to_minor

Kind = Literal["table", "points", "polygons", "raster", "grid", "judged"]
Meaning = Literal["continuous", "categorical", "probability"]
FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "table": ("csv", "parquet"),
        "points": ("geojson", "gpkg", "geoparquet", "csv"),
        "polygons": ("geojson", "gpkg", "geoparquet"),
        "raster": ("geotiff",),
        "grid": ("netcdf", "zarr-zip"),
        "judged": (),
    }
)
SUFFIXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "csv": (".csv",),
        "parquet": (".parquet",),
        "geojson": (".geojson", ".json"),
        "gpkg": (".gpkg",),
        "geoparquet": (".parquet", ".geoparquet"),
        "geotiff": (".tif", ".tiff"),
        "netcdf": (".nc",),
        "zarr-zip": (".zip", ".zarr.zip"),
    }
)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("has no offset; write it in UTC as 2026-01-01T00:00:00Z")
    return value.astimezone(UTC)


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or "\\" in value or not value:
        raise ValueError("must be a path inside the challenge directory, such as hidden/truth.csv")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str | int) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Instant = Annotated[datetime, AfterValidator(_aware)]
InsidePath = Annotated[str, AfterValidator(_inside)]
Label = Annotated[str, BeforeValidator(_text)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ChallengeSection(Section):
    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    title: str = Field(min_length=1, max_length=120)
    sponsor: str = Field(min_length=1, max_length=120)
    kind: Kind
    summary: str = Field(default="", max_length=300)
    tags: tuple[str, ...] = ()


class Schedule(Section):
    opens: Instant
    closes: Instant

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.closes <= self.opens:
            raise ValueError("closes must be later than opens")
        return self


class Truth(Section):
    """Where the hidden answer is. ``radius`` in units of the truth's projected CRS."""

    file: InsidePath
    id: Annotated[tuple[str, ...] | None, BeforeValidator(_listed)] = None
    target: str | None = None
    classes: tuple[Label, ...] | None = Field(default=None, min_length=2)
    weight: str | None = None
    value: str | None = None
    radius: float | None = Field(default=None, gt=0)
    label: str | None = None
    band: int | None = Field(default=None, ge=1)
    grid: InsidePath | None = None
    variable: str | None = None
    member: str | None = None

    @model_validator(mode="after")
    def _distinct_classes(self) -> Self:
        if self.classes and len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must be different from each other")
        return self


class Submission(Section):
    """What experts upload. ``max_bytes`` in bytes, read from texts such as "200 MB"."""

    prediction: str | None = None
    probabilities: Mapping[Label, str] | None = Field(default=None, min_length=1)
    rank: str | None = None
    confidence: str | None = None
    max_features: int | None = Field(default=None, ge=1)
    label: str | None = None
    band: int | None = Field(default=None, ge=1)
    meaning: Meaning | None = None
    variable: str | None = None
    member: str | None = None
    range: tuple[float, float] | None = None
    formats: tuple[str, ...] = ()
    max_bytes: ByteSize = ByteSize(200_000_000)
    per_day: int = Field(default=5, ge=1)
    finals: int = Field(default=2, ge=1)
    resample: str | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.range and self.range[0] >= self.range[1]:
            raise ValueError("range must be [low, high] with low < high")
        if self.max_bytes <= 0:
            raise ValueError("max_bytes must be positive")
        return self


class Blocks(Section):
    """The unit of splitting, bootstrap and re-scoring. ``size`` and ``buffer`` in CRS units."""

    by: str | None = None
    size: float | None = Field(default=None, gt=0)
    public: Annotated[float, Field(ge=0, le=1)] | tuple[Label, ...] = 1.0
    seed: int = 0
    buffer: float = Field(default=0.0, ge=0)


class Scoring(Section):
    primary: str
    metrics: tuple[str, ...] = Field(min_length=1)
    options: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)


class Prize(Section):
    rank: int = Field(ge=1)
    amount: Decimal = Field(gt=0)


class Bounty(Section):
    """Prize money; amounts are decimal texts, held as integer minor units everywhere else."""

    currency: str
    pool: Decimal = Field(ge=0)
    prizes: tuple[Prize, ...] = ()

    @model_validator(mode="after")
    def _payable(self) -> Self:
        wrong = (
            [] if is_currency(self.currency) else [f"currency {self.currency!r} is not an ISO 4217 code such as USD"]
        )
        for amount in (self.pool, *(prize.amount for prize in self.prizes)):
            try:
                to_minor(amount, self.currency)
            except ValueError as error:
                wrong.append(str(error))
        ranks = [prize.rank for prize in self.prizes]
        if len(set(ranks)) != len(ranks):
            wrong.append("prizes must name each rank once")
        promised = sum((prize.amount for prize in self.prizes), Decimal(0))
        if promised > self.pool:
            wrong.append(
                f"prizes add up to {promised}, above the pool of {self.pool}: raise the pool or lower the prizes"
            )
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def pool_minor(self) -> int:
        """The pool in minor units of the currency (cents for USD)."""
        return to_minor(self.pool, self.currency)

    def prize_minor(self, rank: int) -> int:
        """The prize of a rank in minor units; 0 when the rank has none."""
        return next((to_minor(prize.amount, self.currency) for prize in self.prizes if prize.rank == rank), 0)


class Spec(Section):
    """The whole of challenge.toml. ``toml`` keeps the text it was read from."""

    challenge: ChallengeSection
    schedule: Schedule
    truth: Truth
    submission: Submission
    blocks: Blocks | None = None
    scoring: Scoring
    bounty: Bounty
    toml: str = Field(default="", repr=False, exclude=True)


SECTIONS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "challenge": ChallengeSection,
        "schedule": Schedule,
        "truth": Truth,
        "submission": Submission,
        "blocks": Blocks,
        "scoring": Scoring,
        "bounty": Bounty,
    }
)

# Keys of [truth] and [submission] that belong to a kind: (required, optional).
COMMON_SUBMISSION = ("range", "formats", "max_bytes", "per_day", "finals")
KIND_KEYS: Mapping[str, Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType(
    {
        "table": {
            "truth": (("id", "target"), ("classes", "weight")),
            "submission": ((), ("prediction", "probabilities")),
        },
        "points": {"truth": (("radius",), ("value",)), "submission": ((), ("rank", "confidence", "max_features"))},
        "polygons": {"truth": ((), ("label",)), "submission": ((), ("confidence", "label", "max_features"))},
        "raster": {"truth": ((), ("band", "grid", "classes")), "submission": ((), ("meaning", "band", "resample"))},
        "grid": {"truth": (("variable",), ("member", "weight")), "submission": ((), ("variable", "member"))},
        "judged": {"truth": ((), ()), "submission": ((), ())},
    }
)

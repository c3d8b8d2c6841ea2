"""What a publication is, as plain JSON: the engine makes it, the portal keeps it. Light: no array library."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from datasets.manifest import FileEntry, Manifest


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredBlob(_Frozen):
    """A blob in the store: its sha256 and its size."""

    digest: str
    bytes: int


class StoredFile(_Frozen):
    """One file of a release; its sha256 is also its name in the blob store."""

    path: str
    bytes: int
    sha256: str


class Layer(_Frozen):
    """A preview of one public file for the map. ``bounds`` are west, south, east, north in degrees (EPSG:4326).

    ``artifact`` names a blob: a PNG that fills ``bounds`` for a raster, GeoJSON in EPSG:4326 for a vector.
    """

    name: str
    path: str
    kind: Literal["raster", "vector"]
    artifact: str
    media_type: str
    bounds: tuple[float, float, float, float]
    description: str = ""
    local: bool = Field(default=False, description="coordinates have no CRS; drawn near 0, 0 with 1 unit = 1 m")


class SealedTruth(_Frozen):
    """The sealed truth in the store and the public commitment to it."""

    digest: str
    bytes: int
    commitment: str


class Publication(_Frozen):
    """An immutable release with its sealed truth. Holds no truth, no salt and no digest of the truth.

    ``spec`` is the whole challenge.toml, for tickets; ``files`` are what experts download, in which challenge.toml
    lacks the comments and the split into public and private blocks.
    """

    slug: str
    spec: str
    spec_digest: str
    manifest: str = Field(description="sha256 of the canonical manifest, itself a blob")
    files: tuple[StoredFile, ...]
    archive: StoredBlob
    overview: str
    agreement: str
    sample: str
    truth: SealedTruth
    layers: tuple[Layer, ...] = ()

    @property
    def total_bytes(self) -> int:
        return sum(item.bytes for item in self.files)

    def manifest_of(self) -> Manifest:
        """The manifest, rebuilt from ``files``; its digest is ``manifest``."""
        return Manifest.of(self.slug, (FileEntry(item.path, item.bytes, item.sha256) for item in self.files))


class FaultModel(_Frozen):
    """A Fault on the wire; same fields."""

    file: str
    key: str
    message: str
    remedy: str


class Inspection(_Frozen):
    """What looking at a challenge directory gave: every fault, and what can be edited in forms."""

    slug: str | None = None
    title: str | None = None
    kind: str | None = None
    spec: str | None = Field(default=None, description="challenge.toml as read; None when it is no text")
    overview: str = ""
    agreement: str = ""
    faults: tuple[FaultModel, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict, description="counts for the sponsor, such as truth rows")

    @property
    def ok(self) -> bool:
        return not self.faults

"""The libraries sent to browsers are the ones that were pinned, whole, and licensed."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "portal" / "web"
LISTS = [WEB / "static" / "vendor" / "VERSIONS.json", ROOT / "tests" / "browser" / "vendor" / "VERSIONS.json"]
FILES = [
    (versions.parent / entry["folder"] / name, digest)
    for versions in LISTS
    for entry in json.loads(versions.read_text(encoding="utf-8")).values()
    for name, digest in entry["files"].items()
]
PIN = json.loads((WEB / "vendor" / "package.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("path", "digest"), FILES, ids=lambda value: Path(value).name if isinstance(value, Path) else ""
)
def test_a_file_is_the_one_that_was_copied(path: Path, digest: str) -> None:
    assert sha256(path.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("versions", LISTS, ids=["pages", "tests"])
def test_nothing_lies_beside_the_list(versions: Path) -> None:
    listed = {path for path, _ in FILES} | {versions}
    assert {path for path in versions.parent.rglob("*") if path.is_file()} <= listed


def test_every_library_is_pinned_to_one_version_and_has_its_licence() -> None:
    pins = PIN["dependencies"] | PIN["devDependencies"]
    for versions in LISTS:
        for package, entry in json.loads(versions.read_text(encoding="utf-8")).items():
            assert pins.pop(package) == entry["version"]
            assert entry["licence"]
            assert any(name.startswith("LICENSE") for name in entry["files"])
    assert not pins, "pinned and not copied"


def test_the_lock_names_no_registry() -> None:
    lock = (WEB / "vendor" / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock
    assert "integrity" in lock


def test_the_base_layer_is_land_in_degrees() -> None:
    land = json.loads((WEB / "static" / "vendor" / "world-atlas" / "land.geojson").read_text(encoding="utf-8"))
    rings = [ring for polygon in land["geometry"]["coordinates"] for ring in polygon]
    assert len(rings) > 100
    assert all(ring[0] == ring[-1] for ring in rings), "every ring is closed"
    assert all(-180 <= x <= 180 and -90 <= y <= 90 for ring in rings for x, y in ring)

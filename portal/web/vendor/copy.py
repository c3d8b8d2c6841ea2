# ruff: noqa: INP001 - a script beside package.json, no package
"""Copy pinned browser libraries from node_modules into ../static/vendor and record version, licence and digest.

Run `npm ci --ignore-scripts` beside package.json first, or name another node_modules:  python copy.py [NODE_MODULES]
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent / "static" / "vendor"
ROOT = HERE.parents[2]
ROUND = 2  # decimals of a degree kept in the base layer: about one kilometre

# package → (folder under static/vendor, [(file in the package, name here)])
PACKAGES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "htmx.org": ("htmx", [("dist/htmx.min.js", "htmx.min.js"), ("LICENSE", "LICENSE.txt")]),
    "maplibre-gl": (
        "maplibre-gl",
        [
            ("dist/maplibre-gl.mjs", "maplibre-gl.mjs"), ("dist/maplibre-gl-worker.mjs", "maplibre-gl-worker.mjs"),
            ("dist/maplibre-gl-shared.mjs", "maplibre-gl-shared.mjs"), ("dist/maplibre-gl.css", "maplibre-gl.css"),
            ("LICENSE.txt", "LICENSE.txt"),
        ],
    ),
    "uplot": (
        "uplot",
        [("dist/uPlot.esm.js", "uPlot.esm.js"), ("dist/uPlot.min.css", "uPlot.min.css"), ("LICENSE", "LICENSE.txt")],
    ),
    "@fontsource/old-standard-tt": (
        "old-standard-tt",
        [
            ("files/old-standard-tt-latin-400-normal.woff2", "old-standard-tt-latin-400-normal.woff2"),
            ("files/old-standard-tt-latin-400-italic.woff2", "old-standard-tt-latin-400-italic.woff2"),
            ("LICENSE", "LICENSE.txt"),
        ],
    ),
    "world-atlas": ("world-atlas", [("LICENSE", "LICENSE.txt")]),
}  # fmt: skip
AXE = ("axe-core", ROOT / "tests" / "browser" / "vendor", [("axe.min.js", "axe.min.js"), ("LICENSE", "LICENSE.txt")])


def decode_arcs(topology: dict[str, Any]) -> list[list[list[float]]]:
    """Undo TopoJSON's delta coding and quantisation: lists of [longitude, latitude] in degrees."""
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append([round(x * sx + tx, ROUND), round(y * sy + ty, ROUND)])
        arcs.append(line)
    return arcs


def ring(indices: list[int], arcs: list[list[list[float]]]) -> list[list[float]]:
    """One closed ring from its arcs; a negative index is an arc backwards."""
    points: list[list[float]] = []
    for index in indices:
        arc = arcs[index] if index >= 0 else arcs[~index][::-1]
        points.extend(arc[1:] if points else arc)
    return points


def land(topology: dict[str, Any]) -> dict[str, Any]:
    """The land of a world-atlas topology as one GeoJSON feature."""
    arcs = decode_arcs(topology)
    polygons = [
        [ring(part, arcs) for part in polygon]
        for shape in topology["objects"]["land"]["geometries"]
        for polygon in (shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]])
    ]
    geometry = {"type": "MultiPolygon", "coordinates": polygons}
    return {"type": "Feature", "properties": {}, "geometry": geometry}


def copy_package(modules: Path, package: str, folder: Path, files: list[tuple[str, str]]) -> dict[str, Any]:
    """Copy files of one package; its line of VERSIONS.json."""
    about = json.loads((modules / package / "package.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    for source, name in files:
        shutil.copyfile(modules / package / source, folder / name)
    return {"version": about["version"], "licence": about["license"], "files": [name for _, name in files]}


def main(modules: Path) -> None:
    """Copy everything and write VERSIONS.json (static) and the one of the tests' own library."""
    versions: dict[str, Any] = {}
    for package, (folder, files) in PACKAGES.items():
        versions[package] = {"folder": folder, **copy_package(modules, package, STATIC / folder, files)}
    topology = json.loads((modules / "world-atlas" / "land-110m.json").read_text())
    (STATIC / "world-atlas" / "land.geojson").write_text(json.dumps(land(topology), separators=(",", ":")) + "\n")
    versions["world-atlas"]["files"].append("land.geojson")
    for entry in versions.values():
        folder = STATIC / entry["folder"]
        entry["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in entry["files"]}
    (STATIC / "VERSIONS.json").write_text(json.dumps(versions, indent=2) + "\n")
    package, folder, files = AXE
    axe = copy_package(modules, package, folder, files)
    axe["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in axe["files"]}
    (folder / "VERSIONS.json").write_text(json.dumps({package: {"folder": ".", **axe}}, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "node_modules")

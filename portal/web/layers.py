"""The layer list that static/js/map.js reads."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from portal.domain.views import LayerView

Bounds = tuple[float, float, float, float]


def layer_list(layers: Sequence[LayerView], url: Callable[[str], str]) -> dict[str, Any]:
    """Layers that lie somewhere on Earth, rasters below vectors, with the box that holds them all (degrees)."""
    placed = sorted((layer for layer in layers if layer.kind != "series"), key=lambda layer: layer.kind != "raster")
    listed = [
        {
            "name": layer.description or layer.name,
            "kind": layer.kind,
            "url": url(layer.artifact_url_name),
            "bounds": layer.bounds,
            "local": layer.local,
        }
        for layer in placed
        if layer.bounds or layer.kind == "vector"
    ]
    return {"bounds": union(layer.bounds for layer in placed if layer.bounds), "layers": listed}


def artifact_list(names: Sequence[str], url: Callable[[str], str]) -> dict[str, Any]:
    """The previews of one entry: pictures whose place stands in a JSON file beside them, then shapes.

    The script asks the place, or the shapes themselves, for the box.
    """
    pictures = [
        {"name": _title(name), "kind": "raster", "url": url(name), "place": url(f"{name[:-4]}.json")}
        for name in names
        if name.endswith(".png") and f"{name[:-4]}.json" in names
    ]
    shapes = [
        {"name": _title(name), "kind": "vector", "url": url(name), "role": "gold"}
        for name in names
        if name.endswith(".geojson")
    ]
    return {"bounds": None, "layers": [*pictures, *shapes]}


def _title(name: str) -> str:
    return name.rpartition(".")[0].removeprefix("judge-").replace("-", " ")


def union(boxes: Iterable[Bounds]) -> Bounds | None:
    """The smallest box around all boxes (west, south, east, north); None when there is none."""
    found = list(boxes)
    if not found:
        return None
    west, south, east, north = zip(*found, strict=True)
    return min(west), min(south), max(east), max(north)

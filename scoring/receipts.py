"""What a report rests on: digests of its inputs and versions of the code that made it."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from datasets.digest import digest_bytes
from scoring.rules import METRIC_VERSION

__all__ = ["METRIC_VERSION", "environment", "spec_digest"]

PACKAGES = ("motherlode", "numpy", "scipy", "pandas", "pyarrow", "shapely", "rasterio", "h5py", "zarr", "distributed")


@cache
def environment() -> dict[str, str]:
    """Versions that can change a bit of a score: Python, the machine, and the packages that compute."""
    found = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def spec_digest(text: str) -> str:
    """sha256 of a challenge.toml's text in UTF-8."""
    return digest_bytes(text.encode())

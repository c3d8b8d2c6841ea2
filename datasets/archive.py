"""The zip of a release: the same files are the same bytes, and nothing of the sponsor's machine is in it."""

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: file times tell nothing
SQUEEZED = frozenset({".csv", ".json", ".geojson", ".toml", ".md", ".txt", ".las", ".asc"})  # others bring their own


def write_archive(target: BinaryIO, files: Mapping[str, Path]) -> None:
    """Write ``files`` (path in the zip → file) to ``target``: sorted, one fixed time, mode 0644, no comments."""
    with zipfile.ZipFile(target, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED if Path(name).suffix.lower() in SQUEEZED else zipfile.ZIP_STORED
            entry.file_size = files[name].stat().st_size
            with files[name].open("rb") as source, archive.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)

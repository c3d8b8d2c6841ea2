"""A sponsor's zip: an honest one becomes a directory, any other becomes a list of faults and nothing else."""

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import unpack as unpack_module
from datasets.errors import SpecError
from datasets.unpack import unpack


def _zip(path: Path, files: Mapping[str, bytes] | list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    items = files.items() if isinstance(files, Mapping) else files
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in items:
            archive.writestr(name, data)
    return path


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("top", ["", "gold/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_honest_zip_becomes_its_directory(tmp_path: Path, top: str, method: int) -> None:
    files = {"challenge.toml": b"a", "public/data ü.csv": b"x" * 3_000_000, "public/deep/er/b.csv": b""}
    archive = _zip(tmp_path / "a.zip", {top + name: data for name, data in files.items()}, method)
    assert unpack(archive, tmp_path / "out") == tmp_path / "out"
    assert _tree(tmp_path / "out") == files


def test_folders_and_what_desktops_leave_behind_do_not_matter(tmp_path: Path) -> None:
    names = ["gold/", "gold/.DS_Store", "__MACOSX/", "__MACOSX/gold/._challenge.toml", "gold/challenge.toml"]
    archive = _zip(tmp_path / "a.zip", [(name, b"" if name.endswith("/") else b"1") for name in names])
    assert _tree(unpack(archive, tmp_path / "out")) == {"challenge.toml": b"1"}


def test_one_folder_beside_files_is_kept(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"challenge.toml": b"1", "public/a": b"2"})
    assert set(_tree(unpack(archive, tmp_path / "out"))) == {"challenge.toml", "public/a"}


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\evil", "C:/evil\\", "a//evil", "a\nb", "a\u202eb", "x" * 250],
)
def test_names_that_lead_elsewhere_are_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    archive = _zip(tmp_path / "a.zip", {"challenge.toml": b"1", name: b"evil"})
    with pytest.raises(SpecError, match="plain relative path"):
        unpack(archive, tmp_path / "room" / "out")
    assert list((tmp_path / "room").rglob("*")) == [tmp_path / "room" / "out"]


@pytest.mark.parametrize("names", [("a", "a"), ("a/b", "A/b"), ("Straße", "STRASSE")])
def test_a_name_twice_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = _zip(tmp_path / "a.zip", [(name, b"1") for name in names])
    with pytest.raises(SpecError, match="twice"):
        unpack(archive, tmp_path / "out")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": b"1", "a/b": b"2"})
    with pytest.raises(SpecError, match="inside something that is a file"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o010644, 0o140755])
def test_links_and_devices_are_refused(tmp_path: Path, mode: int) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = mode << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(SpecError, match="link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert _tree(tmp_path / "out") == {}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_rare_methods_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(SpecError, match="rare compression"):
        unpack(_zip(tmp_path / "a.zip", {"a": b"1"}, method), tmp_path / "out")


def _patched(path: Path, signature: bytes, offset: int, value: bytes) -> Path:
    data = bytearray(path.read_bytes())
    place = data.index(signature) + offset
    data[place : place + len(value)] = value
    path.write_bytes(data)
    return path


def test_encrypted_entries_are_refused(tmp_path: Path) -> None:
    archive = _patched(_zip(tmp_path / "a.zip", {"a": b"1"}), b"PK\x01\x02", 8, b"\x01\x00")
    with pytest.raises(SpecError, match="encrypted"):
        unpack(archive, tmp_path / "out")


def test_an_entry_that_holds_more_than_it_says_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": b"0" * 100_000})
    _patched(archive, b"PK\x01\x02", 24, struct.pack("<I", 10))
    with pytest.raises(SpecError, match="no readable zip"):
        unpack(archive, tmp_path / "out")
    assert sum(map(len, _tree(tmp_path / "out").values())) <= 10


def test_size_and_ratio_are_bounded_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = _zip(tmp_path / "a.zip", {"a": b"0" * 1_000_000})
    with pytest.raises(SpecError, match="unpacks to 1,000,000 bytes"):
        unpack(archive, tmp_path / "out", max_bytes=999_999)
    monkeypatch.setattr(unpack_module, "RATIO_FREE_BYTES", 10_000)
    with pytest.raises(SpecError, match="50 times"):
        unpack(archive, tmp_path / "out")
    assert _tree(tmp_path / "out") == {}


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", {f"f{number}": b"" for number in range(10_001)}, zipfile.ZIP_STORED)
    with pytest.raises(SpecError, match="10,001 entries"):
        unpack(archive, tmp_path / "out")


def test_a_huge_list_of_entries_is_not_read(tmp_path: Path) -> None:
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    size = unpack_module.DIRECTORY_BYTES + 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, size, 0, 0)
    (tmp_path / "a.zip").write_bytes(b"\0" * size + end)
    with pytest.raises(SpecError, match="larger than 4 MiB"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", [("../a", b"1"), ("b", b"1"), ("b", b"1"), ("/c", b"1")])
    with pytest.raises(SpecError) as caught:
        unpack(archive, tmp_path / "out")
    assert len(caught.value.faults) == 3
    assert all(fault.remedy for fault in caught.value.faults)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_zips_are_faults_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = _zip(folder / "a.zip", {"challenge.toml": b"gold" * 50, "public/a.csv": bytes(range(256))})
    data = bytearray(path.read_bytes())
    place = int(where * len(data))
    data[place] = value
    path.write_bytes(data[:place] if cut else data)
    with suppress(SpecError):
        unpack(path, folder / "room" / "out")
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "room"}
    assert [path.name for path in (folder / "room").iterdir()] == ["out"]


def test_an_occupied_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("1")
    with pytest.raises(FileExistsError):
        unpack(_zip(tmp_path / "a.zip", {"a": b"1"}), tmp_path / "out")

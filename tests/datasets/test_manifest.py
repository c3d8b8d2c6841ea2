"""A manifest is one document for one set of files, whatever the order they were found in."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.digest import digest_bytes
from datasets.errors import IntegrityError
from datasets.manifest import FileEntry, Manifest, is_release_path

ENTRIES = st.lists(
    st.builds(
        FileEntry,
        path=st.from_regex(r"[a-zé]{1,8}(/[a-z0-9 _.-]{1,8}x){0,3}", fullmatch=True),
        bytes=st.integers(0, 2**40),
        sha256=st.binary(min_size=1, max_size=4).map(digest_bytes),
    ),
    unique_by=lambda entry: entry.path,
    max_size=8,
)


@given(entries=ENTRIES, data=st.data())
def test_order_does_not_matter_and_the_json_reads_back(entries: list[FileEntry], data: st.DataObject) -> None:
    manifest = Manifest.of("gold", entries)
    shuffled = Manifest.of("gold", data.draw(st.permutations(entries)))
    assert shuffled.digest == manifest.digest == digest_bytes(manifest.to_json())
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert manifest.total_bytes == sum(entry.bytes for entry in entries)


def test_a_file_twice_or_outside_is_refused() -> None:
    entry = FileEntry("public/a.csv", 1, "0" * 64)
    with pytest.raises(ValueError, match="once"):
        Manifest.of("gold", [entry, FileEntry("public/a.csv", 2, "1" * 64)])
    with pytest.raises(ValueError, match="no path inside"):
        Manifest.of("gold", [FileEntry("../a.csv", 1, "0" * 64)])


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\nb", "a/", "a" * 241, "a\u202eb"]
)
def test_paths_that_lead_elsewhere_are_no_release_paths(path: str) -> None:
    assert not is_release_path(path)


def test_changed_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    files = [FileEntry(name, 1, digest_bytes(data)) for name, data in (("a", b"1"), ("b", b"3"), ("c", b"4"))]
    manifest = Manifest.of("gold", files)
    assert manifest.differences(tmp_path) == ["b differs from the release", "c is missing"]
    assert manifest.find("b") == files[1]
    assert manifest.find("d") is None


@pytest.mark.parametrize("change", [{"format": "x"}, {"files": [{}]}, {"files": None}, {"slug": None}, {"more": 1}])
def test_another_document_is_no_manifest(change: dict[str, object]) -> None:
    document = json.loads(Manifest.of("gold", []).to_json()) | change
    with pytest.raises(IntegrityError, match="no release manifest"):
        Manifest.from_json(json.dumps(document).encode())

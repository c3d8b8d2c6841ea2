"""challenge.toml: what is read, and that every fault is told at once."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets.errors import SpecError
from datasets.spec import format_of, load_spec, parse_spec, sample_file

TABLE = """
[challenge]
slug = "seg-facies"
title = "Facies from well logs"
sponsor = "SEG"
kind = "table"

[schedule]
opens = 2026-01-01T01:00:00+01:00
closes = 2026-03-01T00:00:00Z

[truth]
file = "hidden/truth.csv"
id = ["Well Name", "Depth"]
target = "Facies"
classes = [1, 2, 3]

[submission]
prediction = "Facies"
max_bytes = "200 MB"

[blocks]
by = "Well Name"
public = 0.5
buffer = 0.0

[scoring]
primary = "f1_micro"
metrics = ["f1_micro", "accuracy"]

[bounty]
currency = "USD"
pool = "575000.00"
prizes = [{rank = 1, amount = "105000.00"}, {rank = 2, amount = "85000.00"}]
"""


def faults_of(text: str) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert all(fault.file == "challenge.toml" and fault.remedy for fault in caught.value.faults)
    return {fault.key: fault.message for fault in caught.value.faults}


def test_a_full_file_is_read_with_its_types() -> None:
    spec = parse_spec(TABLE)
    assert spec.schedule.opens == datetime(2026, 1, 1, tzinfo=UTC)
    assert spec.truth.id == ("Well Name", "Depth")
    assert spec.truth.classes == ("1", "2", "3")
    assert spec.submission.max_bytes == 200_000_000
    assert spec.submission.formats == ("csv", "parquet")
    assert spec.bounty.pool_minor == 57_500_000
    assert spec.bounty.prize_minor(1) == 10_500_000
    assert spec.bounty.prize_minor(9) == 0
    assert spec.toml == TABLE


def test_a_single_id_may_be_written_without_brackets() -> None:
    assert parse_spec(TABLE.replace('["Well Name", "Depth"]', '"Depth"')).truth.id == ("Depth",)


def test_public_blocks_may_be_listed() -> None:
    spec = parse_spec(TABLE.replace("public = 0.5", 'public = ["SHANKLE", 7]'))
    assert spec.blocks is not None
    assert spec.blocks.public == ("SHANKLE", "7")


def test_every_fault_is_told_at_once() -> None:
    text = (
        TABLE.replace('slug = "seg-facies"', 'slug = "SEG facies"\nslogan = "x"')
        .replace("2026-03-01T00:00:00Z", "2026-03-01T00:00:00")
        .replace('target = "Facies"\n', "")
        .replace("public = 0.5", "public = 5.5")
        .replace('primary = "f1_micro"', 'primary = "rmse"')
        .replace('"85000.00"', '"485000.00"')
        + "\n[prizes]\n"
    )
    found = faults_of(text)
    assert set(found) == {
        "prizes",
        "challenge.slogan",
        "challenge.slug",
        "schedule.closes",
        "truth.target",
        "blocks.public",
        "scoring.primary",
        "bounty",
    }
    assert "above the pool" in found["bounty"]
    assert "no offset" in found["schedule.closes"]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"hidden/truth.csv"', '"../truth.csv"', "truth.file"),
        ('"hidden/truth.csv"', '"/etc/passwd"', "truth.file"),
        ('prediction = "Facies"', "", "submission"),
        ('prediction = "Facies"', 'prediction = "a"\nprobabilities = {"1" = "p"}', "submission"),
        ('prediction = "Facies"', 'prediction = "a"\nrange = [3.0, 1.0]', "submission"),
        ('prediction = "Facies"', 'prediction = "a"\nformats = ["xlsx"]', "submission.formats"),
        ("closes = 2026-03-01", "closes = 2025-03-01", "schedule"),
        ('by = "Well Name"', "size = 3.0", "blocks.by"),
        ("buffer = 0.0", "buffer = 2.0", "blocks.buffer"),
        ('currency = "USD"', 'currency = "dollars"', "bounty"),
        ('pool = "575000.00"', 'pool = "575000.001"', "bounty"),
        ("rank = 2", "rank = 1", "bounty"),
        ("classes = [1, 2, 3]", "classes = [1, 1]", "truth"),
        ('kind = "table"', 'kind = "judged"', "challenge.kind"),
        ("[scoring]", "[[scoring]]", "scoring"),
    ],
)
def test_a_wrong_value_names_its_key(old: str, new: str, key: str) -> None:
    assert old in TABLE
    assert key in faults_of(TABLE.replace(old, new))


def test_keys_of_another_kind_are_refused() -> None:
    found = faults_of(TABLE.replace('kind = "table"', 'kind = "points"'))
    assert {"truth.id", "truth.target", "truth.classes", "truth.radius", "submission.prediction", "blocks.size"} <= set(
        found
    )


def test_text_that_is_no_toml() -> None:
    assert "not valid TOML" in faults_of("slug = ")[""]


def test_a_directory_must_hold_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "challenge.toml").write_text(TABLE, encoding="utf-8")
    (tmp_path / "overview.md").write_text("# Facies", encoding="utf-8")
    (tmp_path / "sample").mkdir()
    for name in ("a.csv", "b.csv"):
        (tmp_path / "sample" / name).write_text("x", encoding="utf-8")
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path)
    assert {fault.file for fault in caught.value.faults} == {
        "agreement.md",
        "public/",
        "sample/",
        "link",
        "challenge.toml",
    }


def test_a_whole_directory_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "challenge.toml").write_text(TABLE, encoding="utf-8")
    for name in ("overview.md", "agreement.md", "public/logs.csv", "hidden/truth.csv", "sample/mean.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert load_spec(tmp_path).challenge.slug == "seg-facies"
    assert sample_file(tmp_path).name == "mean.csv"


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="motherlode challenge new"):
        load_spec(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("Map.TIF", "raster", "geotiff"),
        ("x.parquet", "points", "geoparquet"),
        ("x.parquet", "table", "parquet"),
        ("x.exe", "table", None),
    ],
)
def test_a_format_follows_from_the_ending(name: str, kind: str, expected: str | None) -> None:
    assert format_of(name, kind) == expected

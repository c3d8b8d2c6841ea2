"""The commands: exit codes, one JSON object on stdout, words for people."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from datasets.errors import EngineFault
from scoring import offline
from scoring.__main__ import main
from tests.challenges import BUILDERS, Example


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return BUILDERS["table-numbers"](tmp_path_factory.mktemp("cli") / "table")


@pytest.fixture(autouse=True)
def keep_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ends its reader to weigh it; here the next test goes on using it."""
    monkeypatch.setattr(offline, "settled_peak", offline.tree_peak_mib)


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def document(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1, "one JSON object, nothing else"
    return found


def test_score_as_the_contract_has_it(example: Example) -> None:
    result = run("score", example.folder, example.perfect, "--json")
    made = document(result)
    assert result.exit_code == 0
    assert (made["challenge"], made["status"], made["blocks"], made["findings"]) == ("table-numbers", "scored", 6, [])
    assert set(made["scores"]) == {"overall", "public", "private"}
    assert made["scores"]["overall"]["rmse"] == 0.0
    assert made["file"] == {"sha256": made["file"]["sha256"], "bytes": example.perfect.stat().st_size}
    assert made["seconds"] > 0
    assert 20 < made["peak_rss_mib"] < 20_000
    assert made["metric_version"]
    assert made["environment"]["numpy"]


def test_score_in_words(example: Example) -> None:
    result = run("score", example.folder, example.sample)
    assert result.exit_code == 0
    assert "rmse" in result.stdout
    assert "scoring sample.csv" in result.stderr


def test_a_rejected_file_exits_with_3(example: Example, tmp_path: Path) -> None:
    entry = tmp_path / "entry.csv"
    lines = example.sample.read_text(encoding="utf-8").splitlines()
    entry.write_text("\n".join([*lines[:-1], "W-99,1.0,0.2"]) + "\n", encoding="utf-8")
    for command in ("score", "check"):
        result = run(command, example.folder, entry, "--json")
        made = document(result)
        assert (result.exit_code, made["status"], made.get("scores")) == (3, "rejected", None)
        codes = {finding["code"]: finding["where"] for finding in made["findings"]}
        assert codes["extra-id"]["row"] == len(lines) - 1
        assert codes["missing-id"]["count"] == 1
        assert set(made["findings"][0]) == {"code", "message", "where", "hint"}
    assert "extra-id" in run("score", example.folder, entry).stdout


def test_a_file_of_another_format_is_rejected(example: Example, tmp_path: Path) -> None:
    entry = tmp_path / "entry.xlsx"
    entry.write_bytes(b"PK")
    result = run("score", example.folder, entry, "--json")
    assert (result.exit_code, document(result)["findings"][0]["code"]) == (3, "wrong-format")


def test_check_needs_no_truth(example: Example, tmp_path: Path) -> None:
    public = tmp_path / "public-part"
    shutil.copytree(example.folder, public)
    shutil.rmtree(public / "hidden")
    result = run("check", public, example.perfect, "--json")
    made = document(result)
    assert (result.exit_code, made["status"], made["findings"]) == (0, "valid", [])
    assert "valid" in run("check", public, example.perfect).stdout
    missing = run("score", public, example.perfect, "--json")
    assert (missing.exit_code, document(missing)["status"]) == (2, "faulty")


@pytest.mark.parametrize("name", ["points", "polygons", "raster-points", "grid-ensemble"])
def test_check_of_every_kind_takes_the_sample_and_the_perfect_entry(tmp_path: Path, name: str) -> None:
    example = BUILDERS[name](tmp_path / name)
    shutil.rmtree(example.folder / "hidden")
    for file in (example.sample, example.perfect):
        result = run("check", example.folder, file)
        assert result.exit_code == 0, result.stdout


def test_wrong_words_are_usage(example: Example, tmp_path: Path) -> None:
    assert run("score", example.folder, tmp_path / "nothing.csv").exit_code == 2
    assert run("score", tmp_path / "nowhere", example.perfect).exit_code == 2
    assert run("rank").exit_code == 2
    faulty = run("check", tmp_path, example.perfect, "--json")
    assert (faulty.exit_code, document(faulty)["status"]) == (2, "faulty")


def test_a_failing_engine_exits_with_4(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise EngineFault("the reader could not be started")

    monkeypatch.setattr(offline, "score_file", broken)
    result = run("score", example.folder, example.perfect, "--json")
    assert (result.exit_code, document(result)["status"]) == (4, "failed")
    assert "the engine failed" in result.stderr

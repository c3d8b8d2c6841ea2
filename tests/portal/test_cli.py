"""The command line: every command loads, and every error is one sentence with its exit code."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import portal.cli
from datasets.errors import EngineFault, Fault, Finding, MotherlodeError, Rejected, SpecError
from portal.cli import COMMANDS, cli, main
from portal.cli.challenge import challenge
from tests.challenges import BUILDERS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    answer = CliRunner().invoke(cli, [name, "--help"])
    assert answer.exit_code == 0
    assert "Usage:" in answer.output


def test_the_list_of_commands_is_quick_to_show() -> None:
    answer = CliRunner().invoke(cli, ["--help"])
    assert all(name in answer.output for name in COMMANDS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MotherlodeError("the disk is full"), 1),
        (click.UsageError("which file?"), 2),
        (SpecError([Fault("challenge.toml", "truth.file", "is missing.", "Add it.")]), 3),
        (Rejected([Finding("no-crs", "The file names no CRS.")]), 3),
        (EngineFault("no reader starts"), 4),
    ],
)
def test_errors_become_a_sentence_and_a_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(portal.cli.cli, "main", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    told = capsys.readouterr()
    assert told.out == ""
    assert "Traceback" not in told.err
    assert len(told.err.strip()) > 5


def test_a_sponsor_scaffolds_and_checks(tmp_path: Path) -> None:
    folder = tmp_path / "wells"
    folder.mkdir()
    rows = "\n".join(f"w{i},{i}.5,{20 + i}" for i in range(30))
    (folder / "truth.csv").write_text(f"id,depth,grade\n{rows}\n", encoding="utf-8")
    (folder / "train.csv").write_text("id,depth,grade\nx1,2.5,20\n", encoding="utf-8")
    made = CliRunner().invoke(challenge, ["new", str(folder)])
    assert made.exit_code == 0, made.output
    assert (folder / "challenge.toml").is_file()
    again = CliRunner().invoke(challenge, ["new", str(folder)])
    assert isinstance(again.exception, SpecError)


def test_a_check_prints_one_json_object(tmp_path: Path) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    answer = CliRunner().invoke(challenge, ["check", str(example.folder), "--json"])
    assert answer.exit_code == 0, answer.output
    shown = json.loads(answer.stdout)
    assert shown["ok"] is True
    assert [row["entry"] for row in shown["rows"]] == ["perfect", "baseline", "empty", "nan", "shifted"]


def test_publishing_here_needs_a_sponsor(tmp_path: Path) -> None:
    example = BUILDERS["table-numbers"](tmp_path / "c")
    answer = CliRunner().invoke(challenge, ["publish", str(example.folder), "--local"])
    assert answer.exit_code == 2
    assert "--sponsor" in answer.output


def test_help_loads_no_science() -> None:
    program = "import sys, portal.cli; print([m for m in ('numpy', 'dask', 'flask', 'sqlalchemy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

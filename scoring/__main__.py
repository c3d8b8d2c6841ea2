"""``python -m scoring``: the engine's commands, which need no portal and no database.

Exit codes: 0 done, 1 unexpected, 2 usage, 3 the file was rejected, 4 the engine failed. Data goes to stdout, everything
else to stderr; ``--json`` prints exactly one JSON object.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from datasets.errors import EngineFault, SpecError

DONE, UNEXPECTED, USAGE, REJECTED, FAILED = range(5)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.group()
def main() -> None:
    """Validate and score files against a challenge directory."""


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_context
def score(context: click.Context, folder: Path, file: Path, *, as_json: bool) -> None:
    """Validate FILE and score it against the truth of DIR."""
    from scoring.offline import score_file, settled_peak

    click.echo(f"scoring {file.name} against {folder}", err=True)
    made = _guarded(context, lambda: score_file(folder, file), as_json=as_json)
    if as_json:
        click.echo(json.dumps({**made.model_dump(mode="json"), "peak_rss_mib": settled_peak()}, allow_nan=False))
    else:
        _print_findings(made.findings)
        _print_scores(made)
    context.exit(DONE if made.status == "scored" else REJECTED)


@main.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.argument("file", metavar="FILE", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON object.")
@click.pass_context
def check(context: click.Context, folder: Path, file: Path, *, as_json: bool) -> None:
    """Validate FILE against DIR without its truth."""
    from scoring.offline import check_file, settled_peak

    click.echo(f"checking {file.name} against {folder}", err=True)
    made = _guarded(context, lambda: check_file(folder, file), as_json=as_json)
    if as_json:
        findings = [finding.model_dump(mode="json") for finding in made.findings]
        document = {
            "challenge": made.challenge,
            "status": made.status,
            "file": made.file.model_dump(),
            "findings": findings,
        }
        click.echo(json.dumps({**document, "seconds": made.seconds, "peak_rss_mib": settled_peak()}, allow_nan=False))
    else:
        _print_findings(made.findings)
        click.echo("valid" if made.status == "valid" else "rejected")
    context.exit(DONE if made.status == "valid" else REJECTED)


@main.command()
def warm() -> None:
    """Compile every loop of the engine and its readers, so that nothing is compiled while an entry waits."""
    from importlib import import_module

    for name in ("datasets.formats.reading", "scoring.worker"):
        import_module(name)
    click.echo("the engine is warm", err=True)


def _guarded(context: click.Context, work: Callable[[], Any], *, as_json: bool) -> Any:
    """Run the work; an error of ours becomes one sentence (and one JSON object) and an exit code."""
    try:
        return work()
    except SpecError as error:
        faults = [{"file": f.file, "key": f.key, "message": f.message, "remedy": f.remedy} for f in error.faults]
        _stop(
            context,
            {"status": "faulty", "faults": faults},
            f"the challenge directory has faults:\n{error}",
            USAGE,
            as_json=as_json,
        )
    except EngineFault as error:
        _stop(
            context, {"status": "failed", "error": str(error)}, f"the engine failed: {error}", FAILED, as_json=as_json
        )


def _stop(context: click.Context, document: dict[str, Any], text: str, code: int, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, allow_nan=False))
    click.echo(text, err=True)
    context.exit(code)


def _print_findings(findings: Sequence[Any]) -> None:
    for finding in findings:
        place = ", ".join(f"{key} {value}" for key, value in finding.where.items())
        click.echo(f"{finding.code}{f' ({place})' if place else ''}: {finding.message} {finding.hint}".rstrip())


def _print_scores(made: Any) -> None:
    if made.scores is None:
        click.echo("rejected")
        return
    click.echo(f"{'metric':24}{'overall':>16}{'public':>16}{'private':>16}")
    for name, value in made.scores.overall.items():
        shown = (value, made.scores.public[name], made.scores.private[name])
        click.echo(f"{name:24}" + "".join(f"{'–' if v is None else format(v, '.6g'):>16}" for v in shown))


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m scoring"))

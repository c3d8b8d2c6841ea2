"""``motherlode challenge``: what a sponsor does with a challenge directory."""

import json
import os
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from datasets.errors import EngineFault
from datasets.scaffold import new as scaffold
from portal.cli.expert import EXIT_REJECTED, connection, number
from portal.client import Client, find_token
from portal.embedded import engine_environment, with_keys
from portal.services import accounts, publishing
from portal.services.context import open_context
from portal.settings import Settings
from portal.store.migrate import upgrade
from scoring.dryrun import dry_run
from scoring.worker import run as run_task

FOLDER = click.Path(path_type=Path, file_okay=False)
WAIT_SECONDS = 1800.0


@click.group()
def challenge() -> None:
    """Scaffold, check and publish challenge directories."""


@challenge.command()
@click.argument("folder", type=FOLDER)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def new(folder: Path, files: tuple[Path, ...]) -> None:
    """Make FOLDER a challenge directory from the data files in it, and copies of FILES."""
    made = scaffold(folder, files, now=datetime.now(UTC))
    click.echo(str(folder / "challenge.toml"))
    for note in made.notes:
        click.echo(note, err=True)
    for fault in made.faults:
        click.echo(f"still missing: {fault}", err=True)
    click.echo(f"next: edit the texts, then `motherlode challenge check {folder}`", err=True)


@challenge.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def check(folder: Path, *, as_json: bool) -> None:
    """Tell every fault of FOLDER, then score a perfect, a baseline, an empty, a NaN and a shifted entry."""
    proof = dry_run(folder)
    if as_json:
        click.echo(json.dumps(proof.to_dict(), ensure_ascii=False))
    else:
        _show_dry_run(proof.to_dict()["rows"])
    if not proof.ok:
        click.echo("the dry run failed: mend the rows marked no before publishing", err=True)
        raise SystemExit(EXIT_REJECTED)


def _show_dry_run(rows: list[dict[str, Any]]) -> None:
    table = Table("entry", "outcome", "scores or findings", "expected", "ok")
    for row in rows:
        scores = ", ".join(f"{name} {number(value)}" for name, value in (row["scores"] or {}).items())
        found = ", ".join(dict.fromkeys(finding["code"] for finding in row["findings"]))
        table.add_row(row["entry"], row["status"], scores or found, row["expected"], "yes" if row["ok"] else "no")
    Console(width=int(os.environ.get("COLUMNS", "120"))).print(table)


@challenge.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--local", is_flag=True, help="Publish to the instance on this machine instead of --url.")
@click.option("--sponsor", "email", help="With --local: the account that becomes the sponsor.")
@connection
def publish(folder: Path, email: str | None, url: str, token: str | None, *, local: bool) -> None:
    """Publish FOLDER: an immutable release, sealed truth and a public commitment to it."""
    if local:
        _publish_here(folder, email)
        return
    with Client.connect(url, find_token(token)) as client, tempfile.TemporaryDirectory() as scratch:
        archive = _zipped(folder, Path(scratch) / f"{folder.resolve().name}.zip")
        draft = _settled(client, client.upload_challenge(archive), {"checking"})
        _stop_on_faults(draft)
        _show_dry_run(draft["dry_run"])
        draft = _settled(client, client.publish(draft["id"]), {"publishing"})
        _stop_on_faults(draft)
        click.echo(f"{url.rstrip('/')}/challenges/{draft['slug']}")


def _publish_here(folder: Path, email: str | None) -> None:
    if not email:
        raise click.UsageError("--local needs --sponsor EMAIL, the account that becomes the sponsor")
    settings, keys = with_keys(Settings.from_env())
    upgrade(settings.url)
    os.environ.update(engine_environment(settings, keys))
    ctx = open_context(settings)
    slug = publishing.publish_directory(
        ctx, actor=accounts.actor_by_email(ctx, email=email), folder=folder, run=run_task
    )
    click.echo(f"{settings.base_url.rstrip('/')}/challenges/{slug}")


def _zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
                archive.write(path, str(path.relative_to(folder)))
    return target


def _settled(client: Client, draft: dict[str, Any], moving: set[str]) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while draft["state"] in moving:
        if time.monotonic() > deadline:
            waited = f"the draft is still {draft['state']} after {WAIT_SECONDS / 60:.0f} minutes"
            raise EngineFault(f"{waited}; look at it later on the sponsor's desk")
        time.sleep(0.5)
        draft = client.get(f"/sponsor/drafts/{draft['id']}")
    return draft


def _stop_on_faults(draft: dict[str, Any]) -> None:
    if draft["state"] in {"ready", "published"}:
        return
    for fault in draft["faults"]:
        place = f"{fault['file']}: {fault['key']}" if fault["key"] else fault["file"]
        click.echo(f"{place}: {fault['message']} {fault['remedy']}", err=True)
    if draft["dry_run"]:
        _show_dry_run(draft["dry_run"])
    click.echo(draft["report_text"] or f"the draft is {draft['state']}", err=True)
    raise SystemExit(EXIT_REJECTED)

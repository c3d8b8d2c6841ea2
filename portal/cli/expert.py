"""What experts do from a terminal: sign in, download, submit, look at boards."""

import json
import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from portal.client import ApiError, Client, find_token, keep_token

EXIT_REJECTED, EXIT_ENGINE = 3, 4
DEFAULT_URL = "http://127.0.0.1:8000"


def connection(function: Any) -> Any:
    """Options that say which server and who is asking."""
    url = click.option("--url", envvar="MOTHERLODE_URL", default=DEFAULT_URL, show_default=True, help="The server.")
    token = click.option("--token", default=None, help="API token; else MOTHERLODE_TOKEN, else the kept one.")
    return url(token(function))


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def number(value: Any) -> str:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


@click.command()
@click.option("--url", envvar="MOTHERLODE_URL", default=DEFAULT_URL, show_default=True)
@click.option("--token", prompt="API token", hide_input=True, help="Made on your account page; shown there once.")
def login(url: str, token: str) -> None:
    """Check an API token and keep it in a file that only you can read."""
    with Client.connect(url, token) as client:
        person = client.get("/me")
    path = keep_token(token)
    click.echo(f"signed in as {person['name']}; token kept in {path}", err=True)


@click.command()
@connection
def whoami(url: str, token: str | None) -> None:
    """Who the token belongs to."""
    with Client.connect(url, find_token(token)) as client:
        show_json(client.get("/me"))


@click.command()
@connection
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def challenges(url: str, token: str | None, *, as_json: bool) -> None:
    """List challenges."""
    with Client.connect(url, find_token(token)) as client:
        answer = client.get("/challenges")
    if as_json:
        show_json(answer)
        return
    table = Table("slug", "title", "kind", "phase", "closes (UTC)")
    for item in answer["challenges"]:
        table.add_row(item["slug"], item["title"], item["kind"], item["phase"], item["closes"][:16].replace("T", " "))
    Console().print(table)


@click.command()
@click.argument("slug")
@click.option(
    "-o", "--into", type=click.Path(path_type=Path, file_okay=False), default=None, help="Folder; default: SLUG."
)
@click.option("--accept-agreement", is_flag=True, help="Sign the data agreement without being asked.")
@connection
def download(slug: str, into: Path | None, url: str, token: str | None, *, accept_agreement: bool) -> None:
    """Fetch a challenge's files; a broken download goes on where it stopped."""
    with Client.connect(url, find_token(token)) as client:
        agreement = client.get(f"/challenges/{slug}/agreement")
        if agreement["signed_at"] is None:
            click.echo(agreement["text_md"], err=True)
            if not accept_agreement:
                click.confirm("Do you accept this data agreement?", abort=True, err=True)
            client.sign(slug, agreement["digest"])
        target = into or Path(slug)
        for path in client.download(slug, target, progress=_show_progress):
            click.echo(str(path))


def _show_progress(done: int, total: int) -> None:
    if Console(stderr=True).is_terminal:
        click.echo(f"\r{done / 1e6:,.1f} of {total / 1e6:,.1f} MB", err=True, nl=done >= total)


@click.command()
@click.argument("slug")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("-m", "--message", default="", help="A note to yourself and the judges: what this entry is.")
@click.option("--wait", is_flag=True, help="Follow the entry to its final state.")
@click.option("--timeout", default=3600.0, show_default=True, help="Longest wait in seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@connection
def submit(
    slug: str, file: Path, message: str, timeout: float, url: str, token: str | None, *, wait: bool, as_json: bool
) -> None:
    """Upload FILE as an entry to the challenge SLUG."""
    try:
        with Client.connect(url, find_token(token)) as client:
            entry = client.submit(slug, file, note=message, wait=timeout if wait else 0.0)
    except ApiError as error:
        click.echo(error.detail, err=True)
        raise SystemExit(EXIT_REJECTED if error.status in {413, 415, 422} else 1) from error
    if as_json:
        show_json(entry)
    else:
        _show_entry(entry)
    raise SystemExit({"rejected": EXIT_REJECTED, "failed": EXIT_ENGINE}.get(entry["state"], 0))


def _show_entry(entry: dict[str, Any]) -> None:
    click.echo(f"entry {entry['id']}: {entry['state']}, received {entry['received_at']}, sha256 {entry['file_sha256']}")
    for name, value in (entry.get("public_scores") or {}).items():
        click.echo(f"  {name} {number(value)}")
    for finding in entry.get("findings") or []:
        where = ", ".join(f"{key} {value}" for key, value in (finding.get("where") or {}).items())
        click.echo(
            f"  {finding['code']}: {finding['message']} {f'({where}) ' if where else ''}{finding['hint']}".rstrip()
        )


@click.command()
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True)
@connection
def entries(slug: str, url: str, token: str | None, *, as_json: bool) -> None:
    """Your entries in a challenge, newest first, and how many are left today."""
    with Client.connect(url, find_token(token)) as client:
        answer = client.get(f"/challenges/{slug}/entries")
    if as_json:
        show_json(answer)
        return
    for entry in answer["entries"]:
        _show_entry(entry)
    quota = answer.get("quota")
    if quota:
        click.echo(f"{quota['left']} of {quota['per_day']} entries left in the {quota['window']} window", err=True)


@click.command()
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True)
@connection
def board(slug: str, url: str, token: str | None, *, as_json: bool) -> None:
    """A challenge's board."""
    with Client.connect(url, find_token(token)) as client:
        answer = client.get(f"/challenges/{slug}/board")
    if as_json:
        show_json(answer)
        return
    table = Table("rank", "team", answer["metric"], "entries", title=f"{slug} ({answer['stage']})")
    for row in answer["rows"]:
        table.add_row(str(row["rank_label"]), row["team"], number(row["score"]), str(row["entries"]))
    Console(width=int(os.environ.get("COLUMNS", "100"))).print(table)

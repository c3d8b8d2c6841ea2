"""What an operator does from a terminal: migrations, accounts, checks, backups."""

from pathlib import Path

import click

from datasets.sandbox import probe
from portal.backup import backup as write_backup
from portal.backup import restore as bring_back
from portal.docs import generated_pages
from portal.embedded import with_keys
from portal.services import accounts, operating, ranking
from portal.services.context import open_context
from portal.settings import Settings
from portal.store import migrate

EXIT_UNWELL = 1


@click.group()
def db() -> None:
    """Database migrations."""


@db.command()
def upgrade() -> None:
    """Bring the database to the newest schema."""
    settings = Settings.from_env()
    migrate.upgrade(settings.url)
    click.echo("the database is at the newest schema", err=True)


@click.group()
def user() -> None:
    """Accounts from the operator's side."""


@user.command()
@click.argument("email")
def operator(email: str) -> None:
    """Make a registered person an operator."""
    accounts.make_operator(open_context(Settings.from_env()), email=email)
    click.echo(f"{email} is an operator now", err=True)


@user.command()
@click.argument("email")
@click.option("--name", required=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def create(email: str, name: str, password: str) -> None:
    """Make an account whose address counts as verified."""
    accounts.create_verified(open_context(Settings.from_env()), name=name, email=email, password=password)
    click.echo(f"{email} has an account now", err=True)


@click.command()
def doctor() -> None:
    """Check settings, database, store, keys and the walls of the sandbox. Exit code 1 when something is wrong."""
    settings = Settings.from_env()
    if (settings.data / "keys").is_dir():
        settings, _ = with_keys(settings)
    report = operating.health(open_context(settings))
    for check in report.checks:
        click.echo(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.detail}")
    for wall, active in probe().items():
        click.echo(f"{'ok  ' if active else 'none'} sandbox {wall}")
    raise SystemExit(0 if report.ok else EXIT_UNWELL)


@click.command()
def rebuild() -> None:
    """Throw away every derived view and make it again from the facts."""
    boards = ranking.rebuild(open_context(Settings.from_env()))
    click.echo(f"{boards} boards made again", err=True)


@click.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--without-keys", is_flag=True, help="Leave out the private keys; keep them elsewhere.")
def backup(target: Path, *, without_keys: bool) -> None:
    """Write database, blobs and keys to TARGET while the instance runs."""
    size = write_backup(Settings.from_env(), target, with_keys=not without_keys)
    click.echo(f"{target}: {size:,} bytes", err=True)


@click.command()
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def restore(source: Path) -> None:
    """Bring SOURCE back into an empty data folder (and an empty PostgreSQL database)."""
    bring_back(Settings(), source)
    click.echo("restored; run `motherlode doctor`", err=True)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("docs"))
def docs(folder: Path) -> None:
    """Write the generated parts of docs/ again."""
    for path, text in generated_pages(folder).items():
        path.write_text(text, encoding="utf-8")
        click.echo(str(path), err=True)

"""The ``motherlode`` command. Each command's module is loaded only when it is called, so that ``--help`` is quick."""

import sys
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import click

from datasets.errors import EngineFault, MotherlodeError, Rejected, SpecError

# name → (module, attribute, one line for --help)
COMMANDS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "demo": (
            "portal.cli.demo",
            "demo",
            "Demo challenges on real data, entries scored, boards printed; then the site.",
        ),
        "serve": ("portal.cli.serve", "serve", "The embedded instance: web, dispatcher and a local Dask cluster."),
        "web": ("portal.cli.web", "web", "The web process alone."),
        "scorer": ("portal.cli.scorer", "scorer", "The scoring loop alone, on a local cluster or --scheduler."),
        "challenge": ("portal.cli.challenge", "challenge", "Scaffold, check and publish challenge directories."),
        "check": ("scoring.__main__", "check", "Validate a file against a challenge directory, without truth."),
        "score": ("scoring.__main__", "score", "Validate and score a file against a challenge directory, offline."),
        "login": ("portal.cli.expert", "login", "Keep an API token for the commands below."),
        "whoami": ("portal.cli.expert", "whoami", "Who the kept token belongs to."),
        "challenges": ("portal.cli.expert", "challenges", "List challenges."),
        "download": ("portal.cli.expert", "download", "Sign the agreement and fetch a challenge's files."),
        "submit": ("portal.cli.expert", "submit", "Upload an entry; --wait for its score."),
        "entries": ("portal.cli.expert", "entries", "Your entries in a challenge."),
        "board": ("portal.cli.expert", "board", "A challenge's board."),
        "db": ("portal.cli.operate", "db", "Database migrations."),
        "user": ("portal.cli.operate", "user", "Accounts from the operator's side."),
        "doctor": ("portal.cli.operate", "doctor", "Check settings, database, store, keys and sandbox."),
        "rebuild": ("portal.cli.operate", "rebuild", "Make every derived view again from the facts."),
        "backup": ("portal.cli.operate", "backup", "Write database, blobs and keys to one archive."),
        "restore": ("portal.cli.operate", "restore", "Bring an archive back into an empty instance."),
        "docs": ("portal.cli.operate", "docs", "Write the generated pages of docs/ again."),
    }
)


class LazyGroup(click.Group):
    """A click group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  the face of a Group
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(package_name="motherlode")
def cli() -> None:
    """Motherlode: publish data and a bounty, score entries against sealed truth, pay the winners, prove it.

    Exit codes: 0 done, 1 unexpected, 2 usage, 3 the file was rejected, 4 the engine failed.
    Data goes to stdout, everything else to stderr.
    """


def main() -> None:
    """Entry point: every error of ours becomes one sentence and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (SpecError, Rejected) as error:
        click.echo(str(error), err=True)
        code = 3
    except EngineFault as error:
        click.echo(f"the engine failed: {error}", err=True)
        code = 4
    except MotherlodeError as error:
        click.echo(str(error) or type(error).__name__, err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)

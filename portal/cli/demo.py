"""``motherlode demo``: an instance with something to see, made through the same services as any other."""

import logging
import os
from importlib import import_module

import click
import structlog
from rich.console import Console

from portal.cli.serve import run_embedded
from portal.demo import boards
from portal.embedded import with_keys
from portal.logs import configure
from portal.services.context import open_context
from portal.settings import Settings
from portal.store.migrate import upgrade


@click.command()
@click.option("--serve/--no-serve", default=True, help="Serve the site afterwards, until Ctrl-C.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=os.cpu_count() or 2, show_default=True, help="Scoring processes.")
def demo(host: str, port: int, workers: int, *, serve: bool) -> None:
    """Demo challenges on real data, entries scored through the real pipeline, boards printed; then the site.

    A second call finds everything there, prints the boards and serves.
    """
    configure()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    given = Settings.from_env()
    settings, keys = with_keys(given)
    upgrade(settings.url)
    ctx = open_context(settings)
    if not boards.played(ctx):
        runner = import_module("portal.demo.runner")  # loads the sciences; not needed for the boards
        runner.run(ctx, settings=settings, keys=keys, workers=workers, say=lambda line: click.echo(line, err=True))
    boards.show(ctx, boards.played(ctx), Console(width=int(os.environ.get("COLUMNS", "110"))))
    ctx.close()
    if serve:
        run_embedded(given, host=host, port=port, workers=workers)

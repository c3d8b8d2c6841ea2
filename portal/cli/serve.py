"""``motherlode serve``: everything in one process tree."""

import os
import threading

import click

from portal.embedded import children, require_free, supervise, with_keys
from portal.settings import Settings
from portal.store.migrate import upgrade


def run_embedded(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Migrate, then run web and scorer until Ctrl-C."""
    require_free(host, port)
    ready, keys = with_keys(settings)
    upgrade(ready.url)
    tended = children(ready, keys, host=host, port=port, workers=workers)
    click.echo(f"Motherlode on http://{host}:{port} (Ctrl-C ends it)", err=True)
    supervise(tended, say=lambda line: click.echo(line, err=True), stop=threading.Event())


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=os.cpu_count() or 2, show_default=True, help="Scoring processes.")
def serve(host: str, port: int, workers: int) -> None:
    """The embedded instance: web, dispatcher and a local Dask cluster, one process tree, one Ctrl-C."""
    run_embedded(Settings.from_env(), host=host, port=port, workers=workers)

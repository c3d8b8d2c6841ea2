"""``motherlode web``: the web process."""

import click

from portal.server import serve_web
from portal.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=2, show_default=True, help="Processes.")
@click.option("--threads", default=8, show_default=True, help="Threads in each process.")
def web(host: str, port: int, workers: int, threads: int) -> None:
    """The web process alone. It needs the public key (MOTHERLODE_TRUTH_RECIPIENT), never the private one."""
    serve_web(Settings.from_env(), host=host, port=port, workers=workers, threads=threads)

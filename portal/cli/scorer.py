"""``motherlode scorer``: the scoring loop and its Dask workers."""

import os
import signal
from pathlib import Path

import click

from portal.adapters.engine import TLS, open_engine
from portal.dispatch import Dispatcher
from portal.embedded import engine_environment, with_keys
from portal.logs import configure
from portal.services.context import open_context
from portal.settings import Settings


@click.command()
@click.option("--workers", default=os.cpu_count() or 2, show_default=True, help="Scoring processes of a local cluster.")
@click.option("--scheduler", default="", help="tls://host:port of a Dask scheduler; default: a local cluster.")
@click.option("--tls-ca", type=click.Path(path_type=Path, exists=True), help="Certificate authority of the cluster.")
@click.option("--tls-cert", type=click.Path(path_type=Path, exists=True), help="This client's certificate.")
@click.option("--tls-key", type=click.Path(path_type=Path, exists=True), help="This client's private key.")
def scorer(workers: int, scheduler: str, tls_ca: Path | None, tls_cert: Path | None, tls_key: Path | None) -> None:
    """Claim work from the database, score it on Dask, record it. Any number may run at once."""
    configure()
    settings, keys = with_keys(Settings.from_env())
    os.environ.update(engine_environment(settings, keys))
    given = zip(TLS, (tls_ca, tls_cert, tls_key), strict=True)
    os.environ.update({name: str(path.absolute()) for name, path in given if path is not None})
    ctx = open_context(settings)
    with open_engine(settings, workers=workers, scheduler=scheduler) as engine:
        dispatcher = Dispatcher(ctx, engine)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: dispatcher.stop.set())
        dispatcher.run()
    ctx.close()

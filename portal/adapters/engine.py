"""The real engine: Dask workers on this machine, or a scheduler reached over TLS."""

import os
from pathlib import Path

from datasets.errors import EngineFault
from portal.settings import Settings
from scoring.cluster import Cluster

TLS = ("MOTHERLODE_TLS_CA", "MOTHERLODE_TLS_CERT", "MOTHERLODE_TLS_KEY")


def open_engine(settings: Settings, *, workers: int, scheduler: str = "") -> Cluster:
    """Workers of our own, or the scheduler named in ``scheduler`` or the settings (certificates: MOTHERLODE_TLS_*).

    Raises:
        EngineFault: a certificate is not named, or the scheduler does not answer.
    """
    address = scheduler or settings.scheduler
    if not address:
        return Cluster.local(workers=workers)
    paths = [os.environ.get(name, "") for name in TLS]
    if not all(paths):
        raise EngineFault(
            f"a scheduler is reached over TLS only; set {', '.join(TLS)} to the files of the certificates"
        )
    ca, cert, key = (Path(path) for path in paths)
    return Cluster.connect(address, ca=ca, cert=cert, key=key)

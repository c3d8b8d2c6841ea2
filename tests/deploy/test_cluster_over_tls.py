"""A scheduler and a worker as deploy/dask.yaml configures them: entries are scored, strangers are kept out."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import distributed
import pytest

from datasets.errors import EngineFault
from scoring.cluster import Cluster
from scoring.contracts import ScoreReport
from scoring.worker import run_with
from tests.scoring.works import Works, publish

ROOT = Path(__file__).resolve().parents[2]
CHANGING = {"seconds", "peak_rss_mib"}


def certificates(folder: Path) -> Path:
    """An authority of our own and one certificate of it, as ca.crt, tls.crt and tls.key."""
    calls = (
        "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt",
        "req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout tls.key -out tls.csr",
        "x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out tls.crt",
    )
    for call in calls:
        subprocess.run(["openssl", *call.split()], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Works:
    return publish(tmp_path_factory.mktemp("works"), "table-numbers")


@pytest.fixture(scope="module")
def address(works: Works, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A scheduler and a worker in processes of their own, with the configuration of deploy/ but for its paths."""
    folder = certificates(tmp_path_factory.mktemp("tls"))
    text = (ROOT / "deploy/dask.yaml").read_text(encoding="utf-8")
    config = folder / "config"
    config.mkdir()
    (config / "dask.yaml").write_text(text.replace("/etc/motherlode/tls", str(folder)), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = os.environ | {
        "DASK_CONFIG": str(config),
        "PYTHONPATH": str(ROOT),
        "MOTHERLODE_STORE": str(works.settings.store),
        "MOTHERLODE_SCRATCH": str(works.settings.scratch),
        "MOTHERLODE_TRUTH_KEY": works.settings.truth_key,
    }
    at, dask = f"tls://127.0.0.1:{port}", [sys.executable, "-m", "dask"]
    calls = (
        ["scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        ["worker", at, "--protocol", "tls", "--nworkers", "1", "--nthreads", "1", "--no-dashboard",
         "--local-directory", str(folder)],
    )  # fmt: skip
    with (folder / "log").open("w") as log:
        started = [subprocess.Popen([*dask, *call], env=environ, stdout=log, stderr=log) for call in calls]
        yield at, folder
        for process in reversed(started):
            process.terminate()
            process.wait(30)


def connect(address: tuple[str, Path]) -> Cluster:
    at, folder = address
    for _ in range(20):
        try:
            made = Cluster.connect(at, ca=folder / "ca.crt", cert=folder / "tls.crt", key=folder / "tls.key")
        except EngineFault:
            time.sleep(1)
            continue
        return made
    raise AssertionError((folder / "log").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_entries_are_scored_over_tls_and_strangers_are_not_answered(works: Works, address: tuple[str, Path]) -> None:
    payload = works.payload(works.example.sample)
    with connect(address) as made:
        answer = made.submit("score", payload).result(120)
        assert [facts.threads for facts in made.workers()] == [1]
    alone = ScoreReport.model_validate_json(run_with(works.settings, "score", payload)).model_dump(exclude=CHANGING)
    assert ScoreReport.model_validate_json(answer).model_dump(exclude=CHANGING) == alone
    at, folder = address
    theirs = folder / "stranger"
    theirs.mkdir()
    certificates(theirs)
    own = {"cert": folder / "tls.crt", "key": folder / "tls.key"}
    with dask.config.set({"distributed.comm.timeouts.connect": "1500ms"}):
        with pytest.raises(OSError, match=r"."):
            distributed.Client(at.replace("tls://", "tcp://"), timeout=1.5, set_as_default=False)
        for ca in (folder / "ca.crt", theirs / "ca.crt"):
            with pytest.raises(EngineFault, match="no scheduler answers"):
                Cluster.connect(at, ca=ca, cert=theirs / "tls.crt", key=theirs / "tls.key")
        with pytest.raises(EngineFault, match="TLS only"):
            Cluster.connect(at.replace("tls://", "tcp://"), ca=folder / "ca.crt", **own)
    with connect(address) as made:
        assert made.workers(), "whoever belongs is answered all the while"

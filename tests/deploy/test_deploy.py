"""The configuration in deploy/: TLS everywhere, settings and commands that exist, no secrets."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import dask.config
import pytest
import yaml
from click.testing import CliRunner

from portal.adapters.engine import TLS
from portal.cli import COMMANDS
from portal.settings import Settings
from scoring.cluster import CONFIG
from scoring.settings import EngineSettings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
TEXTS = {str(path.relative_to(DEPLOY)): path.read_text(encoding="utf-8") for path in FILES}
SECRET = re.compile(
    r"AGE-SECRET-KEY|BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@]+:[^/\s@]+@|(PASSWORD|SECRET_KEY)[\"']?\s*[:=]\s*\S"
)


class Asked(dict[str, str]):
    """Remembers which variables were looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def known_settings() -> set[str]:
    asked = Asked()
    EngineSettings.from_env(asked)
    return asked.names | set(TLS) | {f"MOTHERLODE_{name.upper()}" for name in Settings.model_fields}


def dask_yaml() -> dict[str, Any]:
    return dict(yaml.safe_load(TEXTS["dask.yaml"]))


def objects() -> Iterator[Mapping[str, Any]]:
    yield from yaml.safe_load_all(TEXTS["kubernetes/dask.yaml"])


def containers(thing: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(thing, Mapping):
        yield from thing.get("containers", ())
        thing = list(thing.values())
    if isinstance(thing, list):
        for part in thing:
            yield from containers(part)


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Every command that a unit, a pod or the image starts."""
    for name, text in TEXTS.items():
        if name.endswith(".service"):
            line = re.search(r"^ExecStart=((?:.*\\\n)*.*)$", text, re.MULTILINE)
            assert line, f"{name} starts nothing"
            words = shlex.split(line[1].replace("\\\n", " "))
            yield name, [Path(words[0]).name, *words[1:]]
    for item in objects():
        for container in containers(item):
            yield f"kubernetes {container['name']}", list(container["args"])


def test_every_file_is_looked_at() -> None:
    endings = {path.suffix or path.name for path in FILES}
    assert endings == {".yaml", ".env", ".service", ".py", "Containerfile"}
    assert len(list(command_lines())) == 7


@pytest.mark.parametrize("name", TEXTS)
def test_every_setting_exists_and_nothing_is_secret(name: str) -> None:
    text = TEXTS[name]
    named = set(re.findall(r"\bMOTHERLODE_[A-Z_]+[A-Z]\b", text))
    assert named <= known_settings(), f"{name} sets what nobody reads"
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    assert not SECRET.search(code), f"{name} holds a secret"
    for value in re.findall(r"MOTHERLODE_TRUTH_KEY[\"']?(?:, value)?[:=]\s*[\"']?(\S)", code):
        assert value == "@", f"{name}: the key stands in a file, never in a setting"


def test_a_secret_would_be_found() -> None:
    for text in ("AGE-SECRET-KEY-1ABC", "postgresql://ann:pass@host/db", "MOTHERLODE_SECRET_KEY=abc"):
        assert SECRET.search(text)


def test_the_web_host_never_gets_the_private_key() -> None:
    assert "engine.key" not in TEXTS["systemd/motherlode-web.service"] + TEXTS["portal.env"]
    assert "worker.env" not in TEXTS["systemd/motherlode-web.service"]
    assert "MOTHERLODE_TRUTH_KEY" not in TEXTS["portal.env"]


def test_dask_is_configured_as_the_local_cluster_is() -> None:
    given = dask_yaml()
    for key, value in CONFIG.items():
        assert dask.config.get(key, config=given) == value, key
    assert dask.config.get("distributed.scheduler.allowed-failures", config=given) == 0


def test_dask_knows_every_key() -> None:
    known = dask.config.collect(paths=[], env={})
    dask.config.update(known, dask.config.global_config)

    def paths(tree: Mapping[str, Any], before: str = "") -> Iterator[str]:
        for key, value in tree.items():
            if isinstance(value, Mapping):
                yield from paths(value, f"{before}{key}.")
            else:
                yield before + key

    given, unknown = list(paths(dask_yaml())), object()
    assert given
    assert not [key for key in given if dask.config.get(key, unknown, config=known) is unknown]


def test_dask_is_reached_over_tls_alone() -> None:
    given = dask_yaml()
    assert dask.config.get("distributed.comm.require-encryption", config=given) is True
    tls = dask.config.get("distributed.comm.tls", config=given)
    assert tls["ca-file"]
    assert all(tls[role]["cert"] and tls[role]["key"] for role in ("scheduler", "worker", "client"))
    for name, text in TEXTS.items():
        assert "tcp://" not in text, name
    for name, words in command_lines():
        if words[0] == "dask":
            assert words[words.index("--protocol") + 1] == "tls", name
        if words[:2] == ["motherlode", "scorer"]:
            assert words[words.index("--scheduler") + 1].startswith("tls://"), name
            assert {"--tls-ca", "--tls-cert", "--tls-key"} <= set(words), name
    gateway = TEXTS["gateway/dask_gateway_config.py"]
    assert '"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"' in gateway
    assert '"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true"' in gateway


@cache
def help_of(program: str, verb: str) -> str:
    if program == "motherlode":
        module, name, _ = COMMANDS[verb]
        return CliRunner().invoke(getattr(import_module(module), name), ["--help"]).output
    assert program == "dask"
    call = [sys.executable, "-m", "dask", verb, "--help"]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("name", "words"), list(command_lines()), ids=[name for name, _ in command_lines()])
def test_every_command_and_option_exists(name: str, words: list[str]) -> None:
    program, verb, *rest = words
    options = {word for word in rest if word.startswith("--")}
    missing = {option for option in options if not re.search(rf"{option}\b", help_of(program, verb))}
    assert not missing, f"{name}: {program} {verb} has no {missing}"


def test_kubernetes_objects_belong_together() -> None:
    cluster, scorer, network = objects()
    assert [thing["kind"] for thing in (cluster, scorer, network)] == ["DaskCluster", "Deployment", "NetworkPolicy"]
    images = {container["image"] for thing in (cluster, scorer) for container in containers(thing)}
    assert len(images) == 1, "scheduler, workers and scoring loop run the same image"
    name = cluster["metadata"]["name"]
    assert all(f"tls://{name}-scheduler:8786" in c["args"] for c in containers(cluster["spec"]["worker"]))
    assert network["spec"]["podSelector"]["matchLabels"] == {"dask.org/cluster-name": name}
    allowed = [rule["podSelector"]["matchLabels"] for rule in network["spec"]["ingress"][0]["from"]]
    assert scorer["spec"]["template"]["metadata"]["labels"] in allowed
    for thing in (
        cluster["spec"]["worker"]["spec"],
        cluster["spec"]["scheduler"]["spec"],
        scorer["spec"]["template"]["spec"],
    ):
        volumes = {volume["name"] for volume in thing["volumes"]}
        mounted = {mount["name"] for container in thing["containers"] for mount in container["volumeMounts"]}
        assert mounted == volumes
    scheduler = cluster["spec"]["scheduler"]["spec"]
    assert "keys" not in {volume["name"] for volume in scheduler["volumes"]}, "the scheduler never sees the truth's key"


def test_the_image_copies_what_there_is() -> None:
    for line in TEXTS["Containerfile"].splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


def test_compiled_loops_are_kept_where_they_may_be_written() -> None:
    for name in ("scorer", "dask-scheduler", "dask-worker"):
        unit = TEXTS[f"systemd/motherlode-{name}.service"]
        assert "Environment=NUMBA_CACHE_DIR=/var/cache/motherlode" in unit
        assert "CacheDirectory=motherlode" in unit
        assert "MemoryDenyWriteExecute" not in unit
    lines = TEXTS["Containerfile"].splitlines()
    assert lines.index("ENV NUMBA_CACHE_DIR=/var/cache/motherlode") < lines.index("RUN python -m scoring warm")
    assert lines.index("USER motherlode") < lines.index("RUN python -m scoring warm")


def test_slurm_jobs_render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobqueue = pytest.importorskip("dask_jobqueue")
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("", encoding="ascii")
    given = yaml.safe_load(TEXTS["slurm/jobqueue.yaml"])["jobqueue"]["slurm"]
    options = {key.replace("-", "_"): value for key, value in given.items()}
    del options["name"], options["shared_temp_directory"]
    made = jobqueue.slurm.SLURMJob(
        "tls://10.0.0.1:8786", name="one", protocol="tls://", job_name=given["name"],
        **{key: value for key, value in options.items() if value is not None},
    )  # fmt: skip
    script = made.job_script()
    assert "tls://10.0.0.1:8786" in script
    assert "--nworkers 16" in script
    assert "--nthreads 1" in script
    assert "worker.env" in script
    assert "#SBATCH -t 12:00:00" in script


def test_slurm_configuration_has_keys_dask_jobqueue_knows() -> None:
    jobqueue = pytest.importorskip("dask_jobqueue")
    known = yaml.safe_load((Path(jobqueue.__file__).parent / "jobqueue.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load(TEXTS["slurm/jobqueue.yaml"])["jobqueue"]["slurm"]
    assert set(given) <= set(known["jobqueue"]["slurm"])


def test_starters_compile() -> None:
    starters = {name: text for name, text in TEXTS.items() if name.endswith(".py")}
    assert starters
    for name, text in starters.items():
        assert compile(text, name, "exec").co_code, name

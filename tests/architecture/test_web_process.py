"""The web process stays light and blind: it loads no engine, no heavy reader, and nothing that opens sealed truth."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = (
    "dask",
    "distributed",
    "rasterio",
    "rioxarray",
    "xarray",
    "geopandas",
    "pyogrio",
    "pandas",
    "numpy",
    "numba",
    "scipy",
    "sklearn",
    "pyarrow",
    "h5py",
    "zarr",
    "shapely",
    "pyproj",
    "datasets.truth",
    "datasets.formats",
    "datasets.intake",
    "datasets.publish",
    "datasets.sandbox",
    "scoring.cluster",
    "scoring.engine",
    "scoring.kinds",
    "scoring.metrics",
    "scoring.worker",
)
PROGRAM = """
import json, sys
import wsgi
client = wsgi.app.test_client()
paths = ("/", "/login", "/design", "/api/v1/challenges", "/healthz", "/none")
answers = {path: client.get(path).status_code for path in paths}
print(json.dumps({"modules": sorted(sys.modules), "answers": answers}))
"""

UPGRADE = """
from portal.settings import Settings
from portal.store import migrate
migrate.upgrade(Settings.from_env().url)
"""


def test_the_web_process_loads_neither_engine_nor_truth(tmp_path: Path) -> None:
    environment = {
        "MOTHERLODE_DATA": str(tmp_path),
        "MOTHERLODE_BASE_URL": "http://localhost",
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
    }
    subprocess.run([sys.executable, "-c", UPGRADE], cwd=ROOT, env=environment, check=True, timeout=120)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        env=environment,
        check=True,
        timeout=120,
        capture_output=True,
        text=True,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    heavy = [name for name in seen["modules"] if any(name == wall or name.startswith(f"{wall}.") for wall in FORBIDDEN)]
    assert heavy == []
    assert seen["answers"]["/"] == 200
    assert seen["answers"]["/none"] == 404


def test_the_web_settings_cannot_hold_the_key_to_the_truth() -> None:
    program = "from portal.settings import Settings; print(*Settings.model_fields)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60, capture_output=True, text=True
    )
    assert not [name for name in done.stdout.split() if "truth" in name and name != "truth_recipient"]

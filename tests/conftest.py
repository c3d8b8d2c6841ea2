"""What every test may use: the real data sets that lie beside a checkout, when they do."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("house", deadline=None)  # machines are busy; no test is about time
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real contest data that is too large or not ours to ship; the test is skipped without it."""
    folder = Path(os.environ.get("MOTHERLODE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real contest data is not beside this checkout; set MOTHERLODE_SHARED_DATA")
    return folder

"""What every test may use: the real data sets that lie beside a checkout, when they do."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Where CI is set Hypothesis draws the same examples every time (its own profile "ci"): a change fails by what it
# changed. Elsewhere they are drawn anew, and rare faults come to light. Machines are busy; no test is about time.
settings.register_profile("house", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real contest data that is too large or not ours to ship; the test is skipped without it."""
    folder = Path(os.environ.get("MOTHERLODE_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real contest data is not beside this checkout; set MOTHERLODE_SHARED_DATA")
    return folder

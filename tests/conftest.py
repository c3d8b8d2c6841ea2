"""What every test may use: the real data sets that lie beside a checkout, when they do."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import settings

# A worker of Dask inside this process leaves a client behind that keeps asking a scheduler which has ended. CPython
# 3.11 parses the source lines of its tracebacks in another thread, and two parsers at once may trip over each other.
logging.getLogger("tornado.application").addFilter(lambda record: "_update_scheduler_info" not in record.getMessage())

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

"""Files in the browser: with a script, without one, and when they are refused."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import auditing
from tests.browser.conftest import Visit
from tests.browser.settlement import OPEN, Settlement, address
from tests.browser.visiting import Visitor
from tests.challenges import table_numbers

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
WORK_MS = 60_000


def _choose(visitor: Visitor, file: Path) -> None:
    visitor.open(f"/challenges/{OPEN}/submit")
    visitor.page.get_by_label("Prediction file").set_input_files(file)


def test_without_a_script_the_form_is_a_plain_post(comes: Visit, settled: Settlement, tmp_path: Path) -> None:
    expert = comes("Expert A", javascript=False)
    _choose(expert, table_numbers(tmp_path / "c").perfect)
    expert.page.get_by_label("Note to yourself").fill("Sent without a script")
    expert.page.get_by_role("button", name="Send the entry").click()
    expert.page.wait_for_url("**/entries/**")
    expect(expert.page.get_by_role("complementary", name="Receipt")).to_contain_text("Sent without a script")
    expert.picture("upload-without-script")
    result = expert.page.get_by_role("heading", name="Scored")
    for _ in range(60):  # without a script one looks again by hand
        if result.count():
            break
        expert.page.wait_for_timeout(500)
        expert.page.reload()
    expect(result).to_be_visible()


def test_a_file_of_the_wrong_format_is_refused_on_the_form(comes: Visit, settled: Settlement, tmp_path: Path) -> None:
    file = tmp_path / "entry.docx"
    file.write_bytes(b"PK\x03\x04 not a table")
    expert = comes("Expert A")
    _choose(expert, file)
    expert.page.get_by_role("button", name="Send the entry").click()
    alert = expert.page.get_by_role("alert")
    expect(alert).to_contain_text("csv")
    expect(alert).to_be_focused()
    assert expert.page.title().startswith("Error: ")
    assert not auditing.faults(expert.page)
    expert.picture("upload-refused", both=True)


def test_a_zip_that_is_none_tells_the_sponsor_so(comes: Visit, settled: Settlement) -> None:
    sponsor = comes("Sponsor", javascript=False)
    sponsor.open("/sponsor")
    upload = {"name": "challenge.zip", "mimeType": "application/zip", "buffer": b"this is no archive"}
    sponsor.page.get_by_label("Zipped challenge folder").set_input_files(upload)
    sponsor.page.get_by_role("button", name="Upload and check").click()
    for _ in range(60):
        text = sponsor.page.inner_text("main").lower()
        if "being checked" not in text:
            break
        sponsor.page.wait_for_timeout(500)
        sponsor.page.reload()
    assert "zip" in text
    assert "mend" in text
    sponsor.picture("upload-no-zip")


def test_a_lost_connection_is_said_and_nothing_is_counted(comes: Visit, settled: Settlement, tmp_path: Path) -> None:
    expert = comes("Expert B")
    _choose(expert, table_numbers(tmp_path / "c").sample)
    expert.page.context.set_offline(True)
    expert.page.get_by_role("button", name="Send the entry").click()
    expect(expert.page.locator("[data-upload-line]")).to_contain_text("connection broke")
    expert.page.context.set_offline(False)
    expert.page.get_by_role("button", name="Send the entry").click()
    expert.page.wait_for_url("**/entries/**")
    expert.page.get_by_role("heading", name="Scored").wait_for(timeout=WORK_MS)
    expert.open(f"/challenges/{OPEN}/entries")
    expect(expert.page.get_by_role("region", name="My entries").locator("tbody tr")).to_have_count(2)


def test_signing_in_works_without_a_script(comes: Visit, settled: Settlement) -> None:
    judge = comes("Judge", javascript=False)
    expect(judge.page.get_by_role("navigation", name="Your account")).to_contain_text("Judge")
    judge.open("/account")
    expect(judge.page.get_by_role("main")).to_contain_text(address("Judge"))

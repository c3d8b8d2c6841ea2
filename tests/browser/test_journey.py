"""The main job in a browser: sponsor, two experts, judge and operator, from a folder of files to the prize posting."""

import hashlib
import re
import time
from pathlib import Path

import geopandas as gpd
import pytest
from playwright.sync_api import Page, expect

from portal.services import accounts, verifying
from portal.services.context import Context
from tests.browser import auditing
from tests.browser.conftest import Visit
from tests.browser.instance import Instance
from tests.browser.settlement import PASSWORD, address, spoil, zipped
from tests.browser.visiting import Visitor
from tests.challenges import Example, points

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("browser")]

SLUG = "points"
SCORE_S, WORK_MS = 15.0, 60_000
NOTE = "Ranked by hand along the fold axis"
REASON = "Recomputed from the note; the file and its digest are the same."


def _register(person: Visitor, name: str) -> None:
    person.open("/register")
    person.page.get_by_label("Name").fill(name)
    person.page.get_by_label("E-mail address").fill(address(name))
    person.page.get_by_label("Password").fill(PASSWORD)
    person.page.get_by_role("button", name="Register").click()
    person.page.wait_for_url("**/register/sent")


def _confirm(person: Visitor, operator: Visitor, name: str) -> None:
    """Read the link on the operator's page, as somebody who runs the site without a mail server does, and open it."""
    operator.open("/operator")
    mail = operator.page.locator("details.mail", has_text=address(name)).first
    mail.locator("summary").click()
    link = re.search(r"https?://\S+/verify/\S+", mail.locator("pre").inner_text())
    assert link, "no link to confirm the address in the mail"
    operator.picture("journey-02-outbox")
    person.page.goto(link.group())
    person.page.get_by_role("button", name="Confirm the address").click()
    expect(person.page.get_by_role("status")).to_contain_text("confirmed")


def _arrive(come: Visit, operator: Visitor, name: str) -> Visitor:
    person = come()
    _register(person, name)
    person.picture("journey-01-registered")
    _confirm(person, operator, name)
    return person.sign_in(name)


def _upload_draft(sponsor: Visitor, name: str, content: bytes, state: str) -> None:
    sponsor.open("/sponsor")
    upload = {"name": name, "mimeType": "application/zip", "buffer": content}
    sponsor.page.get_by_label("Zipped challenge folder").set_input_files(upload)
    sponsor.page.get_by_role("button", name="Upload and check").click()
    sponsor.page.wait_for_url("**/sponsor/drafts/**")
    sponsor.page.get_by_role("heading", name=state).wait_for(timeout=WORK_MS)


def _see_faults(sponsor: Visitor, folder: Path) -> None:
    spoil(folder)
    _upload_draft(sponsor, "spoiled.zip", zipped(folder), "Some things need mending")
    rows = sponsor.page.get_by_role("region", name="Faults").locator("tbody tr")
    for key in ("bounty", "scoring.primary", "agreement.md"):
        row = rows.filter(has_text=key)
        expect(row, key).to_have_count(1)
        assert row.locator("td").last.inner_text().strip(), f"no remedy for {key}"
    sponsor.picture("journey-03-faults", both=True)


def _publish(sponsor: Visitor, folder: Path) -> None:
    page = sponsor.page
    _upload_draft(sponsor, "challenge.zip", zipped(folder), "Ready to publish")
    dry = page.get_by_role("region", name="Dry run").locator("tbody tr")
    expect(dry).to_have_count(5)
    expect(dry.get_by_text("yes", exact=True)).to_have_count(5)
    sponsor.picture("journey-04-dry-run", both=True)
    page.get_by_label("Title").fill("Where the gold is")
    page.get_by_label("Closes").fill("2037-01-31 18:00")
    page.get_by_label("Bounty pool").fill("1500.00")
    page.get_by_label("Rank 1").fill("900.00")
    page.get_by_role("button", name="Save and check again").click()
    page.get_by_role("heading", name="Ready to publish").wait_for(timeout=WORK_MS)
    expect(page.get_by_role("heading", level=1)).to_have_text("Where the gold is")
    page.get_by_role("button", name="Publish the challenge").click()
    page.get_by_role("heading", name="Published").wait_for(timeout=WORK_MS)
    sponsor.picture("journey-05-published")
    page.get_by_role("link", name="See the challenge").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Where the gold is")
    expect(page.get_by_role("complementary", name="Key facts")).to_contain_text("$1,500")


def _grant(sponsor: Visitor, email: str) -> None:
    sponsor.open(f"/sponsor/challenges/{SLUG}")
    sponsor.page.get_by_label("E-mail address").fill(email)
    sponsor.page.get_by_label("Judge").check()
    sponsor.page.get_by_role("button", name="Give the role").click()
    expect(sponsor.page.get_by_role("region", name="Who holds a role")).to_contain_text("judge")
    sponsor.picture("journey-06-people")


def _sign(expert: Visitor, *, affiliated: bool) -> None:
    page = expert.page
    expert.open(f"/challenges/{SLUG}/data")
    page.get_by_role("link", name="Read and sign").click()
    page.get_by_role("button", name="Sign the agreement").click()
    expect(page.get_by_role("alert")).to_contain_text("Tick the box")
    page.get_by_label("Yes: my entries" if affiliated else "No", exact=not affiliated).check()
    if affiliated:
        page.get_by_label("How do you belong to it?").fill("Drilled two of its holes.")
    page.get_by_label("I have read this agreement").check()
    expert.picture("journey-07-agreement", both=True)
    page.get_by_role("button", name="Sign the agreement").click()
    page.wait_for_url(f"**/challenges/{SLUG}/data")


def _download(expert: Visitor, folder: Path) -> None:
    """One file, compared byte by byte with the sponsor's, and its digest with the one on the page."""
    path = "public/known.geojson"
    expert.picture("journey-08-data", both=True)
    row = expert.page.locator("tr", has=expert.page.get_by_role("link", name=path))
    shown = row.locator("code").get_attribute("title")
    with expert.page.expect_download() as waiting:
        expert.page.get_by_role("link", name=path).click()
    got = Path(waiting.value.path()).read_bytes()
    assert got == (folder / path).read_bytes()
    assert hashlib.sha256(got).hexdigest() == shown


def _send(expert: Visitor, file: Path, note: str = "") -> float:
    """Upload an entry and wait for its outcome to appear by itself; the seconds from the click on."""
    page = expert.page
    expert.open(f"/challenges/{SLUG}/submit")
    page.get_by_label("Note to yourself").fill(note)
    page.get_by_label("Prediction file").set_input_files(file)
    began = time.monotonic()
    page.get_by_role("button", name="Send the entry").click()
    page.locator("#result-title", has_text=re.compile("^(Scored|Rejected)$")).wait_for(timeout=WORK_MS)
    return time.monotonic() - began


def _entries(example: Example) -> tuple[Path, Path]:
    """One file with a target that lies nowhere and a score that is no number; one that finds some deposits."""
    frame = gpd.read_file(example.perfect)
    good = example.perfect.with_name("some.gpkg")
    frame.iloc[10:].to_file(good, driver="GPKG", layer="layer")
    bad = example.perfect.with_name("bad.csv")
    bad.write_text("lon,lat,score\n15.01,45.14,0.9\n15.02,245.0,0.8\n15.03,45.14,high\n", encoding="utf-8")
    return bad, good


def _compete(first: Visitor, second: Visitor, example: Example) -> float:
    bad, good = _entries(example)
    _send(first, bad, "A first try")
    expect(first.page.get_by_role("heading", name="Rejected")).to_be_visible()
    findings = first.page.get_by_role("region", name="Findings").locator("tbody tr")
    assert findings.count() >= 1
    assert all(row.locator("td").last.inner_text().strip(" –") for row in findings.all()), "a finding without a remedy"
    first.picture("journey-09-rejected", both=True)
    waited = _send(first, good, NOTE)
    expect(first.page.get_by_role("heading", name="Scored")).to_be_visible()
    first.page.locator("figure[data-ready]").wait_for(timeout=WORK_MS)
    first.picture("journey-10-scored", both=True)
    _send(second, example.perfect)
    return waited


def _board(expert: Visitor) -> None:
    expert.open(f"/challenges/{SLUG}/board")
    rows = expert.page.locator("#board tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Second expert")
    expect(rows.nth(0)).to_contain_text("With the sponsor")
    expect(rows.nth(1)).to_contain_text("You")
    assert [row.locator(".rank").inner_text() for row in rows.all()] == ["1", "2"]
    expert.picture("journey-11-board", both=True)


def _look_around(person: Visitor) -> None:
    """Open every sheet of the open challenge, so that whatever it tells is among the collected answers."""
    for sheet in ("", "/data", "/rules", "/timeline", "/board", "/bounty", "/submit"):
        person.open(f"/challenges/{SLUG}{sheet}")
    person.seen |= {f"{person.url}/api/v1/challenges/{SLUG}{part}" for part in ("", "/board")}


def _close(sponsor: Visitor) -> None:
    sponsor.open(f"/sponsor/challenges/{SLUG}")
    sponsor.page.get_by_label("Reason").fill("Every target is in.")
    sponsor.page.get_by_role("button", name="Close the challenge").click()
    expect(sponsor.page.get_by_role("status")).to_contain_text("closed")
    sponsor.picture("journey-12-closed")


def _judge(judge: Visitor, sha256: str) -> str:
    """Three clicks: open the entry, choose, record. Returns the entry's id."""
    page = judge.page
    judge.open(f"/judge/{SLUG}")
    row = page.locator("tbody tr", has=page.locator("td", has_text="$900"))
    judge.picture("journey-13-desk", both=True)
    row.get_by_role("link").click()
    expect(page.get_by_role("complementary", name="Facts")).to_contain_text(NOTE)
    assert page.locator(".digest code").first.get_attribute("title") == sha256
    page.locator("figure[data-ready]").wait_for(timeout=WORK_MS)
    expect(page.get_by_role("region", name="Scores", exact=True)).to_contain_text("captured_value")
    for name in ("First expert", "Second expert"):
        assert name not in page.content(), "the judge reads a name"
    page.get_by_label("Verified").check()
    page.get_by_role("button", name="Record the ruling").click()
    expect(page.get_by_role("alert")).to_contain_text("reason")
    page.get_by_label("Reason").fill(REASON)
    page.get_by_role("button", name="Record the ruling").click()
    expect(page.get_by_role("status")).to_contain_text("verified")
    judge.picture("journey-14-ruling", both=True)
    return page.url.rsplit("/", 1)[-1]


def _posted(stranger: Visitor) -> None:
    """The prize stands in the public ledger once, and the sums agree."""
    stranger.open(f"/challenges/{SLUG}/bounty")
    rows = stranger.page.get_by_role("region", name="Postings").locator("tbody tr")
    expect(rows.filter(has_text="Prize")).to_have_count(1)
    expect(rows.filter(has_text="Prize")).to_contain_text("$900.00")
    expect(rows).to_have_count(2)
    figures = stranger.page.locator("dl.stats").first.inner_text()
    assert "$1,500" in figures
    assert "$900" in figures
    stranger.picture("journey-15-bounty", both=True)


def _private(ctx: Context, judge: str, entry_ids: list[str]) -> list[str]:
    """Private and overall values of entries, as a page would print them, where they differ from the public ones."""
    actor = accounts.actor_by_email(ctx, email=address(judge))
    found = [verifying.entry(ctx, actor=actor, entry_id=entry_id) for entry_id in entry_ids]
    public = {f"{value:.5f}" for entry in found for value in (entry.scores_public or {}).values()}
    hidden = {
        f"{value:.5f}"
        for entry in found
        for scores in (entry.scores_private, entry.scores_overall)
        for value in (scores or {}).values()
    }
    return sorted(value for value in hidden - public if not value.endswith("000"))  # round numbers stand everywhere


def _entry_ids(page: Page) -> list[str]:
    links = page.locator("tbody a[href*='/judge/entries/']").all()
    return [str(link.get_attribute("href")).rsplit("/", 1)[-1] for link in links]


def test_from_publication_to_prize_posting(comes: Visit, instance: Instance, tmp_path: Path) -> None:
    ctx = instance.context()
    runner = accounts.create_verified(ctx, name="Runner", email=address("Runner"), password=PASSWORD)
    accounts.make_operator(ctx, email=runner.email)
    operator = comes("Runner")
    spoiled, example = points(tmp_path / "spoiled"), points(tmp_path / "points")

    sponsor = _arrive(comes, operator, "Owner")
    judge = _arrive(comes, operator, "Assayer")
    _see_faults(sponsor, spoiled.folder)
    _publish(sponsor, example.folder)
    _grant(sponsor, address("Assayer"))

    first, second = (_arrive(comes, operator, f"{number} expert") for number in ("First", "Second"))
    _sign(first, affiliated=False)
    _download(first, example.folder)
    _sign(second, affiliated=True)
    waited = _compete(first, second, example)
    print(f"\nfrom the click on Send to the score in the page: {waited:.2f} s")
    assert waited < SCORE_S
    sha256 = str(first.page.locator(".digest code").first.get_attribute("title"))
    shown = first.page.locator(".result-score").inner_text()
    _board(first)

    stranger = comes()
    everybody = (sponsor, judge, first, second, stranger)
    for person in everybody:
        _look_around(person)
    judge.open(f"/judge/{SLUG}")
    ids = _entry_ids(judge.page)
    for entry_id in ids:
        judge.open(f"/judge/entries/{entry_id}")
    before = "\n".join(person.told() for person in everybody)
    assert shown in before, "what is public must be found by the same search"

    _close(sponsor)
    ruled = _judge(judge, sha256)
    assert ruled in ids
    _posted(stranger)
    assert not auditing.faults(stranger.page)

    secrets = _private(ctx, "Assayer", ids)
    assert secrets, "the example has no private value to look for"
    assert [value for value in secrets if re.search(rf"(?<![\d.]){re.escape(value[:6])}", before)] == []
    ctx.close()
    for person in (*everybody, operator):
        person.calm()

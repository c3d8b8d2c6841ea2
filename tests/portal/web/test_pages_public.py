"""The front sheet, a challenge's sheets, an entry, the agreement: each in every state, fit to be shown."""

import io
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from portal.app import create_app
from portal.domain.errors import Closed, Invalid, NotFound, QuotaExceeded, TooLarge
from portal.domain.permissions import Actor
from portal.domain.views import LedgerView, Quota
from portal.services import agreements, challenges, paying, ranking, submitting
from portal.services.context import Context, open_context
from portal.web.entries import fingerprint, saying
from tests.portal.web import samples
from tests.portal.web.browser import LintingClient, new_person, settings_for

SHEET = "/challenges/red-lake"
TABS = ("", "/data", "/rules", "/timeline", "/board", "/entries", "/bounty", "/submit")
TURNS = itertools.count()
Show = Callable[..., None]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Makes services hand out given views: ``show(page=…, entry=…)``."""
    known: dict[str, Any] = {
        "cards": [samples.card()], "page": samples.page(), "entry": samples.entry(), "mine": [samples.entry()],
        "board": samples.board(), "progress": samples.PROGRESS, "ledger": samples.LEDGER,
        "agreement": samples.AGREEMENT,
    }  # fmt: skip

    def put(**changes: Any) -> None:
        known.update(changes)
        turn = next(TURNS)  # pages of boards are kept by version: every showing is a new one
        for module, name, key in (
            (challenges, "listing", "cards"), (challenges, "page", "page"), (submitting, "entry", "entry"),
            (submitting, "mine", "mine"), (ranking, "board", "board"), (ranking, "progress", "progress"),
            (paying, "ledger", "ledger"), (agreements, "page", "agreement"),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, lambda *_, _key=key, **__: known[_key])
        monkeypatch.setattr(ranking, "version", lambda *_, **__: f"{known['board'].etag}-{turn}")

    put()
    return put


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, fresh_data: Path) -> Iterator[Context]:
    """One instance for all these pages: they read what ``show`` puts and write nothing."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copytree(fresh_data, folder, dirs_exist_ok=True)
    opened = open_context(settings_for(folder))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def app(context: Context) -> Flask:
    made = create_app(context.settings, context=context)
    made.test_client_class = LintingClient
    made.testing = True
    made.config["PROPAGATE_EXCEPTIONS"] = False
    return made


@pytest.fixture(scope="module")
def person(context: Context) -> Actor:
    return new_person(context, "Expert A")


@pytest.fixture
def client(app: Flask) -> LintingClient:
    return app.test_client()  # type: ignore[return-value]


@pytest.fixture
def expert(app: Flask, person: Actor) -> LintingClient:
    return app.test_client().sign_in(person)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("phase", ["open", "upcoming", "closed", "settled"])
def test_every_sheet_in_every_phase(expert: LintingClient, show: Show, phase: str) -> None:
    show(page=samples.page(phase=phase, release=None if phase == "upcoming" else samples.RELEASE))
    for tab in TABS:
        response = expert.get(SHEET + tab)
        assert response.status_code == 200, tab
        assert "Where to drill next" in response.text


@pytest.mark.parametrize("me", [samples.STRANGER, samples.NEWCOMER], ids=["stranger", "newcomer"])
def test_every_sheet_before_anything_is_signed(client: LintingClient, show: Show, me: Any) -> None:
    show(page=samples.page(me))
    for tab in TABS:
        assert client.get(SHEET + tab).status_code == (303 if tab == "/entries" else 200), tab


def test_files_are_named_to_all_and_linked_for_signers(expert: LintingClient, show: Show) -> None:
    assert "/data/files/public/a%20b/mag.tif" in expert.get(f"{SHEET}/data").text
    show(page=samples.page(samples.NEWCOMER))
    page = expert.get(f"{SHEET}/data").text
    assert "public/a b/mag.tif" in page
    assert "/data/files/" not in page
    assert "/data/archive" not in page


def test_empty_states_say_what_to_do(expert: LintingClient, show: Show) -> None:
    show(
        cards=[], mine=[], board=samples.board(0), progress=[], page=samples.page(release=None),
        ledger=LedgerView("USD", 0, 0, 0, ()),
    )  # fmt: skip
    for path, words in (
        ("/", "Nothing is open right now"), (f"{SHEET}/entries", "You have not sent an entry yet"),
        (f"{SHEET}/board", "No entry is on the board yet"), (f"{SHEET}/data", "No files yet"),
        (f"{SHEET}/bounty", "Nothing has been posted yet"),
    ):  # fmt: skip
        assert words in expert.get(path).text


def test_text_of_strangers_stays_text(expert: LintingClient, show: Show) -> None:
    nasty = samples.HOSTILE
    rows = tuple(replace(row, team=nasty) for row in samples.board().rows)
    show(
        cards=[samples.card(title=nasty, sponsor=nasty, summary=nasty)],
        page=samples.page(title=nasty, sponsor=nasty, summary=nasty, tags=(nasty,)),
        board=replace(samples.board(), rows=rows),
        entry=samples.entry("rejected", note=nasty, filename=nasty),
        agreement=replace(samples.AGREEMENT, text_md=nasty),
    )
    for path in ("/", SHEET, f"{SHEET}/board", "/entries/e-1", "/agreements/red-lake"):
        assert "<script>alert" not in expert.get(path).text


def test_front_adds_no_two_currencies(client: LintingClient, show: Show) -> None:
    show(cards=[samples.card(), samples.card(slug="b", currency="EUR", pool_minor=100_000)])
    assert "€1,000 + $575,000" in client.get("/").text


@pytest.mark.parametrize("state", ["queued", "scoring", "scored", "rejected", "failed", "withdrawn"])
def test_an_entry_in_every_state(expert: LintingClient, show: Show, state: str) -> None:
    show(entry=samples.entry(state))
    token = re.compile(r'name="csrf_token" value="[^"]*"')  # it holds the second in which it was made
    whole, part = (token.sub("", expert.get(path).text) for path in ("/entries/e-1", "/entries/e-1/result"))
    assert "targets.geojson" in whole
    assert part.strip() in whole, "what htmx brings is what the page held"
    assert ("hx-get" in part) == (state in ("queued", "scoring")), "asks again only while something can change"
    assert ("/withdraw" in part) == (state in ("queued", "scoring")), "what has a result stays"


def test_nothing_is_said_twice(expert: LintingClient, show: Show) -> None:
    queued = samples.entry("queued")
    show(entry=queued)
    path = f"/entries/e-1/result?seen={fingerprint(queued)}"
    assert expert.get(path).status_code == 204
    show(entry=samples.entry("queued", position=2))
    assert expert.get(path).status_code == 200


def test_a_change_of_state_is_read_out_and_progress_is_not(expert: LintingClient, show: Show) -> None:
    scoring = samples.entry("scoring", progress=0.25)
    path = f"/entries/e-1/result?seen={fingerprint(scoring)}&said={saying(scoring)}"
    show(entry=samples.entry("scoring", progress=0.75))
    part = expert.get(path).text
    assert 'value="0.75"' in part
    assert 'id="said"' not in part
    show(entry=samples.entry("scored"))
    assert '<p id="said" hx-swap-oob="innerHTML">Scored: ' in expert.get(path).text
    whole = expert.get("/entries/e-1").text
    assert whole.count('role="status" id="said"') == 1
    assert "hx-swap-oob" not in whole


def test_findings_show_code_place_and_hint(expert: LintingClient, show: Show) -> None:
    show(entry=samples.entry("rejected"))
    page = expert.get("/entries/e-1").text
    for words in ("duplicate-rank", "feature 41", "Give each its own."):
        assert words in page


def test_a_missing_score_is_a_dash_on_the_board(client: LintingClient, show: Show) -> None:
    page = client.get(f"{SHEET}/board").text
    row = page[page.index("No score yet") :]
    assert '<td class="num score">–</td>' in row
    assert "0.00000" not in row[: row.index("</tr>")]


def test_the_shared_board_is_not_sent_twice(client: LintingClient, show: Show) -> None:
    first = client.get(f"{SHEET}/board")
    again = client.get(f"{SHEET}/board", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert not again.data
    show(board=samples.board(etag="other"))
    assert client.get(f"{SHEET}/board", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_long_board_comes_in_pages(expert: LintingClient, client: LintingClient, show: Show) -> None:
    rows = tuple(replace(samples.board().rows[0], team=f"Team {i}", is_me=i == 150) for i in range(205))
    show(board=replace(samples.board(), rows=rows))
    first, last = expert.get(f"{SHEET}/board").text, expert.get(f"{SHEET}/board?page=3").text
    assert first.count("<tr") == 101 + len(samples.PROGRESS) + 1
    assert "Team 204" in last
    assert "Page 3 of 3" in last
    assert 'href="/challenges/red-lake/board?page=2">Go to your place' in first
    for odd in ("0", "-5", "999", "x"):
        assert expert.get(f"{SHEET}/board?page={odd}").status_code == 200


def test_a_message_for_one_stranger_is_not_kept_for_all(client: LintingClient, show: Show) -> None:
    with client.session_transaction() as kept:
        kept["_flashes"] = [("good", "You are signed out.")]
    assert "You are signed out." in client.get(f"{SHEET}/board").text
    assert "You are signed out." not in client.get(f"{SHEET}/board").text


def test_a_personal_board_is_never_stored(expert: LintingClient, show: Show) -> None:
    response = expert.get(f"{SHEET}/board")
    assert "ETag" not in response.headers
    assert "no-store" in response.headers["Cache-Control"]
    assert "You" in response.text


def test_layers_are_listed_for_the_map(client: LintingClient, show: Show) -> None:
    listed = client.get(f"{SHEET}/layers").get_json()
    assert [layer["kind"] for layer in listed["layers"]] == ["raster", "vector"]
    assert listed["bounds"] == [-94.2, 50.5, -93.2, 51.3]
    assert listed["layers"][0]["url"] == f"{SHEET}/layers/magnetics.png"


def test_previews_of_an_entry_are_listed_with_their_place(expert: LintingClient, show: Show) -> None:
    picture, shape = expert.get("/entries/e-1/layers").get_json()["layers"]
    assert (picture["kind"], picture["url"]) == ("raster", "/entries/e-1/artifacts/entry.png")
    assert picture["place"] == "/entries/e-1/artifacts/entry.json"
    assert (shape["kind"], shape["url"]) == ("vector", "/entries/e-1/artifacts/entry.geojson")


def test_the_quota_is_said_by_one_sentence(expert: LintingClient, show: Show) -> None:
    used_up = Quota(per_day=5, used=5, left=0, next_at=samples.NOW)
    show(page=samples.page(replace(samples.EXPERT, quota=used_up)))
    for path in (f"{SHEET}/submit", f"{SHEET}/entries", "/entries/e-1"):
        assert 'The next one may be sent at <time datetime="2026-06-01T12:00:00Z"' in expert.get(path).text


def send(client: LintingClient, **fields: Any) -> Any:
    """The submit form as a browser sends it: text first, the file last."""
    data = {"csrf_token": client.token(), "key": "k", "note": "my note", **fields}
    return client.post(f"{SHEET}/submit", data=data, content_type="multipart/form-data")


def test_a_file_is_handed_on_and_its_entry_shown(
    expert: LintingClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: dict[str, Any] = {}

    def submit(_: Any, *, stream: Any, **rest: Any) -> Any:
        taken.update(rest, body=stream.read())
        return samples.entry("queued")

    monkeypatch.setattr(submitting, "submit", submit)
    response = send(expert, file=(io.BytesIO(b"lon,lat\n1,2\n"), "targets.csv"))
    assert response.status_code == 303
    assert response.headers["Location"].endswith("/entries/e-1")
    assert (taken["body"], taken["filename"], taken["note"], taken["key"]) == (
        b"lon,lat\n1,2\n",
        "targets.csv",
        "my note",
        "k",
    )


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Invalid({"file": "The file is empty."}), 422),
        (QuotaExceeded(samples.NOW), 429),
        (Closed("The challenge closed at noon."), 409),
        (TooLarge(200_000), 413),
    ],
)
def test_a_refused_file_comes_back_with_the_form(
    expert: LintingClient, show: Show, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def submit(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(submitting, "submit", submit)
    response = send(expert, file=(io.BytesIO(b"x"), "x.csv"))
    assert response.status_code == status
    assert "<title>Error: " in response.text
    assert 'role="alert"' in response.text
    assert 'value="my note"' in response.text


def test_the_agreement_is_signed_as_it_was_shown(
    expert: LintingClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    monkeypatch.setattr(challenges, "declare_affiliation", lambda _, **k: calls.append(("declare", k["affiliated"])))
    monkeypatch.setattr(agreements, "sign", lambda _, **k: calls.append(("sign", k["digest"])))
    data = {"digest": samples.DIGEST, "affiliated": "yes", "statement": "I work there.", "accept": "y"}
    response = expert.send("/agreements/red-lake", data, form="/agreements/red-lake")
    assert response.status_code == 303
    assert calls == [("sign", samples.DIGEST), ("declare", True)], "signing makes the team that declares"


def test_an_unticked_agreement_is_not_signed(
    expert: LintingClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreements, "sign", lambda *_, **__: pytest.fail("signed without consent"))
    response = expert.send("/agreements/red-lake", {"digest": samples.DIGEST}, form="/agreements/red-lake")
    assert response.status_code == 422
    assert "Tick the box" in response.text
    assert "Say whether you belong to the sponsor." in response.text


def test_a_tie_to_the_sponsor_is_explained_before_anything_is_signed(
    expert: LintingClient, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreements, "sign", lambda *_, **__: pytest.fail("signed without the explanation"))
    data = {"digest": samples.DIGEST, "affiliated": "yes", "accept": "y"}
    response = expert.send("/agreements/red-lake", data, form="/agreements/red-lake")
    assert response.status_code == 422
    assert "how you belong to the sponsor" in response.text


def test_strangers_can_read_the_agreement(client: LintingClient, show: Show) -> None:
    page = client.get("/agreements/red-lake").text
    assert "Use it here only." in page
    assert "Sign in to sign it" in page


def test_the_design_page_shows_every_component(client: LintingClient) -> None:
    page = client.get("/design").text
    for part in ("Survey map and assay sheet", "error-summary", "table-frame", "<progress", 'class="chart"'):
        assert part in page


def test_what_is_not_there_is_told_kindly(client: LintingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> Any:
        raise NotFound("challenge")

    monkeypatch.setattr(challenges, "page", missing)
    response = client.get(SHEET)
    assert response.status_code == 404
    assert "There is no such challenge" in response.text


def test_modules_are_served_as_scripts(client: LintingClient) -> None:
    response = client.get("/static/vendor/maplibre-gl/maplibre-gl.mjs")
    assert response.mimetype == "text/javascript"
    response.close()

"""The sponsor's desk: upload, faults with remedies, the dry run, editing, publishing, people, closing."""

import io
import re
from typing import Any

import pytest
from flask import Flask

from datasets.release import FaultModel, Inspection
from portal.domain.permissions import Actor
from portal.domain.views import DraftView
from portal.services import challenges, collecting, publishing
from portal.services.context import Context
from scoring.contracts import InspectReport
from tests.portal.web.browser import LintingClient, bearer
from tests.portal.web.world import World, challenge_toml, publication

TOML = challenge_toml("new-facies", opens="2026-01-01T00:00:00Z", closes="2036-03-01T00:00:00Z")
ROWS: list[dict[str, Any]] = [
    {
        "entry": "perfect",
        "status": "scored",
        "scores": {"rmse": 0.0},
        "findings": [],
        "expected": "the best score",
        "ok": True,
    },
    {
        "entry": "empty",
        "status": "rejected",
        "scores": None,
        "expected": "rejected",
        "ok": True,
        "findings": [{"code": "missing-id", "message": "All rows are missing.", "where": {}, "hint": ""}],
    },
]
EDIT = {
    "title": "New facies",
    "summary": "One line.",
    "overview_md": "# Over",
    "agreement_md": "Agree.",
    "opens": "2026-01-01 00:00",
    "closes": "2036-03-01 12:30",
    "currency": "USD",
    "pool": "900.00",
    "prizes-0": "500.00",
    "prizes-1": "",
    "prizes-2": "100",
}


def uploaded(client: LintingClient, name: str = "facies.zip") -> str:
    data = {"csrf_token": client.token("/sponsor"), "file": (io.BytesIO(b"PK zip"), name)}
    response = client.post("/sponsor/drafts", data=data, content_type="multipart/form-data")
    assert response.status_code == 303, response.get_data(as_text=True)
    found = re.fullmatch(r"/sponsor/drafts/[\w-]+", response.location)
    assert found
    return found.group(0)


def inspected(context: Context, faults: tuple[FaultModel, ...] = ()) -> None:
    """The engine has looked at every draft that waits."""
    found = Inspection(
        slug="new-facies",
        title="New facies",
        kind="table",
        spec=TOML,
        overview="# Old",
        agreement="Old.",
        faults=faults,
    )
    report = InspectReport(inspection=found, dry_run=None if faults else {"ok": True, "rows": ROWS})
    for work in collecting.claim(context, worker="test", limit=5):
        assert collecting.record(context, work=work, answer=report.model_dump_json().encode())


def draft_of(context: Context, person: Actor, path: str) -> DraftView:
    return publishing.draft(context, actor=person, draft_id=path.rpartition("/")[2])


def test_from_upload_to_publication(client: LintingClient, context: Context, person: Actor) -> None:
    client.sign_in(person)
    path = uploaded(client)
    waiting = client.get(path).get_data(as_text=True)
    assert "Being checked" in waiting
    assert f'hx-get="{path}/state"' in waiting
    assert "Being checked" in client.get(f"{path}/state").get_data(as_text=True)
    inspected(context)
    assert client.get(f"{path}/state").headers["HX-Refresh"] == "true"
    ready = client.get(path).get_data(as_text=True)
    assert "Ready to publish" in ready
    assert "All rows are missing." in ready
    assert client.send(f"{path}/publish", form=path).location == path
    assert "Being published" in client.get(path).get_data(as_text=True)
    for work in collecting.claim(context, worker="test", limit=5):
        assert collecting.record(context, work=work, answer=publication(context, "new-facies"))
    assert "Experts can see it." in client.get(path).get_data(as_text=True)
    assert "/sponsor/challenges/new-facies" in client.get("/sponsor").get_data(as_text=True)
    assert client.get("/challenges/new-facies").status_code == 200


def test_faults_come_with_remedies(client: LintingClient, context: Context, person: Actor) -> None:
    client.sign_in(person)
    path = uploaded(client)
    inspected(
        context,
        (FaultModel(file="challenge.toml", key="scoring.primary", message="No metric `x`.", remedy="Use rmse."),),
    )
    page = client.get(path).get_data(as_text=True)
    for text in ("Some things need mending", "scoring.primary", "No metric `x`.", "Use rmse."):
        assert text in page
    assert "Publish the challenge" not in page
    assert client.send(f"{path}/publish", form=path).status_code == 409


def test_texts_dates_and_prizes_are_edited(client: LintingClient, context: Context, person: Actor) -> None:
    client.sign_in(person)
    path = uploaded(client)
    inspected(context)
    assert client.send(path, EDIT, form=path).location == path
    draft = draft_of(context, person, path)
    assert draft.state == "checking"
    assert draft.edit is not None
    assert (draft.edit.title, draft.edit.overview_md, str(draft.edit.pool)) == ("New facies", "# Over", "900.00")
    assert draft.edit.closes.isoformat() == "2036-03-01T12:30:00+00:00"
    assert [(prize.rank, float(prize.amount)) for prize in draft.edit.prizes] == [(1, 500.0), (3, 100.0)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": " "}, "title"),
        ({"opens": "next week"}, "opens"),
        ({"closes": "2025-01-01 00:00"}, "closes"),
        ({"pool": "-1"}, "pool"),
        ({"pool": "a lot"}, "pool"),
        ({"prizes-0": "-5"}, "prizes-0"),
        ({"prizes-0": "5000"}, "prizes"),
        ({"agreement_md": ""}, "agreement_md"),
    ],
)
def test_a_wrong_edit_is_shown_beside_its_field(
    client: LintingClient, context: Context, person: Actor, change: dict[str, str], field: str
) -> None:
    client.sign_in(person)
    path = uploaded(client)
    inspected(context)
    response = client.send(path, EDIT | change, form=path)
    page = response.get_data(as_text=True)
    assert response.status_code == 422, page
    assert "<title>Error: " in page
    assert f'href="#{field}"' in page or f'href="#{field.partition("-")[0]}"' in page
    assert draft_of(context, person, path).state == "ready"


def test_only_zips_and_not_too_large(client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    token = client.token("/sponsor")
    for name, size, status in (("a.csv", 5, 422), ("a.zip", 200_001, 413), ("a.zip", 900_000, 413)):
        data = {"csrf_token": token, "file": (io.BytesIO(b"x" * size), name)}
        response = client.post("/sponsor/drafts", data=data, content_type="multipart/form-data")
        assert response.status_code == status
        assert "<title>Error: Sponsor desk" in response.get_data(as_text=True)
    empty = client.post(
        "/sponsor/drafts", data={"csrf_token": token, "file": (io.BytesIO(b""), "")}, content_type="multipart/form-data"
    )
    assert empty.status_code == 422
    assert "Choose a file to upload." in empty.get_data(as_text=True)


def test_a_script_uploads_a_raw_body(client: LintingClient, person: Actor) -> None:
    client.sign_in(person)
    headers = {"X-CSRFToken": client.token("/sponsor"), "X-Filename": "facies.zip", "Accept": "application/json"}
    response = client.post("/sponsor/drafts", data=b"PK zip", headers=headers, content_type="application/zip")
    assert response.status_code == 201
    assert response.json["location"] == response.headers["Location"]
    assert client.get(response.json["location"]).status_code == 200


def test_the_upload_is_sealed_on_arrival(client: LintingClient, context: Context, person: Actor) -> None:
    client.sign_in(person)
    headers = {"X-CSRFToken": client.token("/sponsor"), "X-Filename": "facies.zip"}
    client.post("/sponsor/drafts", data=b"PK canary-truth" * 1000, headers=headers)
    kept = [file.read_bytes() for file in context.settings.data.rglob("*") if file.is_file()]
    assert not [content for content in kept if b"canary-truth" in content]


def test_drafts_of_others_are_not_found(app: Flask, client: LintingClient, context: Context, world: World) -> None:
    client.sign_in(world.sponsor)
    path = uploaded(client)
    inspected(context)
    other = app.test_client().sign_in(world.stranger)
    assert other.get(path).status_code == 404
    assert other.get(f"{path}/state").status_code == 404
    assert other.send(path, EDIT, form="/sponsor").status_code == 404
    assert other.send(f"{path}/publish", form="/sponsor").status_code == 404
    assert "facies.zip" not in other.get("/sponsor").get_data(as_text=True)


def test_a_sponsor_names_a_judge(client: LintingClient, world: World) -> None:
    client.sign_in(world.sponsor)
    page = f"/sponsor/challenges/{world.slug}"
    done = client.send(f"{page}/people", {"email": world.stranger.email, "role": "judge"}, form=page)
    assert done.location == page
    people = challenges.people(world.context, actor=world.sponsor, slug=world.slug)
    assert "Outsider" in {person.name for person in people if person.role == "judge"}
    unknown = client.send(f"{page}/people", {"email": "nobody@example.org", "role": "judge"}, form=page)
    assert unknown.status_code in (404, 422)
    competing = client.send(f"{page}/people", {"email": world.expert.email, "role": "judge"}, form=page)
    assert competing.status_code in (409, 422)
    assert (
        client.send(f"{page}/people", {"email": world.stranger.email, "role": "operator"}, form=page).status_code == 422
    )


def test_a_sponsor_closes_early(client: LintingClient, world: World) -> None:
    client.sign_in(world.sponsor)
    page = f"/sponsor/challenges/{world.slug}"
    assert client.send(f"{page}/close", {"reason": ""}, form=page).status_code == 422
    assert client.send(f"{page}/close", {"reason": "all is known"}, form=page).location == page
    assert challenges.page(world.context, actor=None, slug=world.slug).card.phase == "closed"
    assert client.send(f"{page}/close", {"reason": "again"}, form=page).status_code == 409


def test_only_its_sponsor_manages_a_challenge(app: Flask, world: World) -> None:
    for person in (world.stranger, world.expert, world.judge):
        client = app.test_client().sign_in(person)
        assert client.get(f"/sponsor/challenges/{world.slug}").status_code == 404
        assert client.send(f"/sponsor/challenges/{world.slug}/close", {"reason": "x"}, form="/sponsor").status_code in (
            403,
            404,
        )
        grant = {"email": world.stranger.email, "role": "judge"}
        assert client.send(f"/sponsor/challenges/{world.slug}/people", grant, form="/sponsor").status_code in (403, 404)
    assert app.test_client().sign_in(world.sponsor).get(f"/sponsor/challenges/{world.other}").status_code == 404
    assert challenges.page(world.context, actor=None, slug=world.slug).card.phase == "open"


def test_the_same_by_api(client: LintingClient, context: Context, world: World) -> None:
    headers = bearer(context, world.sponsor, "sponsor")
    sent = client.post("/api/v1/sponsor/drafts", data=b"PK zip", headers={**headers, "X-Filename": "a.zip"})
    assert (sent.status_code, sent.json["state"]) == (201, "checking")
    url = sent.headers["Location"]
    inspected(context)
    assert client.get(url, headers=headers).json["dry_run"][0]["entry"] == "perfect"
    assert client.get(url, headers=bearer(context, world.stranger, "sponsor")).status_code == 404
    published = client.post(f"{url}/publish", headers=headers)
    assert (published.status_code, published.json["state"]) == (202, "publishing")
    assert client.post(f"{url}/publish", headers=headers).status_code == 409
    assert [draft["id"] for draft in client.get("/api/v1/sponsor/drafts", headers=headers).json["drafts"]] == [
        sent.json["id"]
    ]


def test_the_desk_lists_published_challenges_of_the_person(app: Flask, world: World) -> None:
    """Those made without a draft too; an operator sees all."""

    def linked(person: Actor) -> list[str]:
        text = app.test_client().sign_in(person).get("/sponsor").get_data(as_text=True)
        assert "No draft yet" in text
        return re.findall(r'href="/sponsor/challenges/([\w-]+)"', text)

    assert linked(world.sponsor) == [world.slug]
    assert set(linked(world.operator)) == {world.slug, world.other}
    for person in (world.judge, world.expert, world.stranger):
        assert linked(person) == []
    (card,) = challenges.managed(world.context, actor=world.sponsor)
    assert (card.phase, card.entries, card.experts) == ("open", 1, 2)

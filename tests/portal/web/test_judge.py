"""The judges' desk: no names, evidence on one page, rulings with reasons, a prize that follows."""

import io
import json
from dataclasses import replace

import pytest
from flask import Flask

from portal.domain.errors import Forbidden
from portal.services import challenges, collecting, paying, verifying
from scoring.contracts import FileFacts, ScoreReport, Scores
from tests.portal.web.browser import LintingClient, bearer
from tests.portal.web.world import CANARY, World, send


def over(world: World) -> None:
    challenges.close(world.context, actor=world.sponsor, slug=world.slug, reason="all entries are in")


def test_the_desk_names_no_team_and_no_private_score_before_the_end(client: LintingClient, world: World) -> None:
    client.sign_in(world.judge)
    for path in (f"/judge/{world.slug}", f"/judge/entries/{world.entry.id}"):
        page = client.get(path)
        text = page.get_data(as_text=True)
        assert page.status_code == 200
        assert "Expert A" not in text
        assert world.expert.email not in text
        assert "12.5" in text
        assert str(CANARY)[:6] not in text.replace(",", "")
        assert "424251" not in text.replace(",", "")
    assert "Rulings begin when the challenge is over" in text


def test_private_scores_come_with_the_end(client: LintingClient, world: World) -> None:
    over(world)
    client.sign_in(world.judge)
    text = client.get(f"/judge/entries/{world.entry.id}").get_data(as_text=True).replace(",", "")
    assert str(CANARY)[:6] in text
    proofs = ("W-1 1000.5", "424242.5", "W-7", "private", "424251", "shale")
    for shown in (world.entry.file_sha256[:12], "kriging", *proofs):
        assert shown in text


def test_a_verified_winner_gets_a_posting(client: LintingClient, world: World) -> None:
    over(world)
    client.sign_in(world.judge)
    page = f"/judge/entries/{world.entry.id}"
    done = client.send(f"{page}/rulings", {"verdict": "verified", "reason": "Reproduced from the notes."}, form=page)
    assert done.location == page
    text = client.get(page).get_data(as_text=True)
    assert "Reproduced from the notes." in text
    rows = paying.ledger(world.context, actor=None, slug=world.slug).rows
    assert [(row.kind, row.amount_minor) for row in rows if row.kind == "prize"] == [("prize", 60_000)]
    assert paying.check(world.context) == []


def test_a_ruling_needs_verdict_and_reason(client: LintingClient, world: World) -> None:
    over(world)
    client.sign_in(world.judge)
    page = f"/judge/entries/{world.entry.id}"
    for data in ({}, {"verdict": "verified", "reason": " "}, {"verdict": "splendid", "reason": "x"}, {"reason": "x"}):
        response = client.send(f"{page}/rulings", data, form=page)
        assert response.status_code == 422, data
        assert "<title>Error: " in response.get_data(as_text=True)
    assert verifying.entry(world.context, actor=world.judge, entry_id=world.entry.id).rulings == ()


def test_no_ruling_before_the_end(client: LintingClient, world: World) -> None:
    client.sign_in(world.judge)
    data = {"verdict": "verified", "reason": "x"}
    assert client.send(f"/judge/entries/{world.entry.id}/rulings", data, form="/account").status_code == 409


def test_the_file_and_previews_of_an_entry(client: LintingClient, world: World) -> None:
    client.sign_in(world.judge)
    file = client.get(f"/judge/entries/{world.entry.id}/file")
    assert file.headers["ETag"] == f'"{world.entry.file_sha256}"'
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert "Expert" not in file.headers["Content-Disposition"]
    layers = client.get(f"/judge/entries/{world.entry.id}/layers").json["layers"]
    assert client.get(layers[0]["url"]).mimetype == "application/geo+json"
    assert client.get(f"/judge/entries/{world.entry.id}/artifacts/none.png").status_code == 404


def test_evidence_that_shows_truth_waits_for_the_end(app: Flask, world: World) -> None:
    judge, expert = app.test_client().sign_in(world.judge), app.test_client().sign_in(world.expert)
    path = f"/judge/entries/{world.entry.id}/artifacts/judge-blocks.json"
    assert judge.get(path).status_code == 404
    over(world)
    assert judge.get(path).status_code == 200
    assert expert.get(f"/entries/{world.entry.id}/artifacts/judge-blocks.json").status_code == 404


def test_a_conflict_shuts_the_desk(client: LintingClient, world: World) -> None:
    client.sign_in(world.judge)
    page = f"/judge/{world.slug}"
    assert client.send(f"{page}/conflict", {"conflicted": "y", "statement": ""}, form=page).status_code == 422
    assert (
        client.send(f"{page}/conflict", {"conflicted": "y", "statement": "My former team."}, form=page).location == page
    )
    assert "You declared a conflict" in client.get(page).get_data(as_text=True)
    assert client.get(f"/judge/entries/{world.entry.id}").status_code == 403
    assert client.send(f"{page}/conflict", {"statement": "It has ended."}, form=page).location == page
    assert client.get(f"/judge/entries/{world.entry.id}").status_code == 200


def test_nobody_else_finds_the_desk(app: Flask, world: World) -> None:
    over(world)
    for person in (world.expert, world.rival, world.sponsor, world.stranger, world.operator):
        client = app.test_client().sign_in(person)
        for path in (
            f"/judge/{world.slug}",
            f"/judge/entries/{world.entry.id}",
            f"/judge/entries/{world.entry.id}/file",
        ):
            assert client.get(path).status_code == 404, (person.name, path)
        data = {"verdict": "verified", "reason": "x"}
        assert client.send(f"/judge/entries/{world.entry.id}/rulings", data, form="/account").status_code == 404
    assert app.test_client().sign_in(world.judge).get(f"/judge/{world.other}").status_code == 404


def test_the_same_by_api(client: LintingClient, world: World) -> None:
    over(world)
    headers = bearer(world.context, world.judge, "judge")
    desk = client.get(f"/api/v1/judge/{world.slug}", headers=headers).json
    assert desk["rows"][0]["entry_id"] == world.entry.id
    entry = client.get(f"/api/v1/judge/entries/{world.entry.id}", headers=headers)
    assert "Expert A" not in entry.get_data(as_text=True)
    assert entry.json["entry"]["receipt"] == ""
    url = f"/api/v1/judge/entries/{world.entry.id}/rulings"
    ruled = client.post(url, json={"verdict": "question", "reason": "Which variogram?"}, headers=headers)
    assert (ruled.status_code, ruled.json["verdict"]) == (201, "question")
    assert client.post(url, json={"verdict": "maybe", "reason": "x"}, headers=headers).status_code == 422
    assert (
        client.post(
            url, json={"verdict": "question", "reason": "x"}, headers=bearer(world.context, world.expert, "judge")
        ).status_code
        == 404
    )


def test_the_index_lists_what_the_person_judges(app: Flask, world: World) -> None:
    client = app.test_client().sign_in(world.judge)
    text = client.get("/judge").get_data(as_text=True)
    assert f'href="/judge/{world.slug}"' in text
    assert f"/judge/{world.other}" not in text
    assert "After the close" in text
    assert "Expert A" not in text
    for person in (world.sponsor, world.expert, world.operator):
        page = app.test_client().sign_in(person).get("/judge").get_data(as_text=True)
        assert "You judge no challenge" in page
        assert f"/judge/{world.slug}" not in page


def test_what_is_left_to_rule_is_counted_after_the_end(client: LintingClient, world: World) -> None:
    def left() -> list[tuple[str, int | None]]:
        return [(row.stage, row.to_rule) for row in challenges.judged(world.context, actor=world.judge)]

    assert left() == [("public", None)]
    over(world)
    assert left() == [("final", 1)]
    client.sign_in(world.judge)
    assert "1 open" in client.get("/judge").get_data(as_text=True)
    verifying.rule(world.context, actor=world.judge, entry_id=world.entry.id, verdict="question", reason="Which?")
    assert left() == [("final", 0)]
    verifying.declare_conflict(
        world.context, actor=world.judge, slug=world.slug, conflicted=True, statement="My former team."
    )
    assert left() == [("final", None)]
    assert "Conflict declared" in client.get("/judge").get_data(as_text=True)


def test_a_token_lists_desks_only_with_their_scope(world: World) -> None:
    with pytest.raises(Forbidden, match="judge"):
        challenges.judged(world.context, actor=replace(world.judge, scopes=frozenset({"read", "sponsor"})))
    with pytest.raises(Forbidden, match="sponsor"):
        challenges.managed(world.context, actor=replace(world.sponsor, scopes=frozenset({"read", "judge"})))


def test_the_navigation_leads_judges_to_their_desk(app: Flask, world: World) -> None:
    item = '<a href="/judge"'
    assert item in app.test_client().sign_in(world.judge).get("/").get_data(as_text=True)
    for person in (world.expert, world.sponsor, world.operator):
        assert item not in app.test_client().sign_in(person).get("/").get_data(as_text=True)
    assert item not in app.test_client().get("/").get_data(as_text=True)


def test_a_map_of_hits_has_a_key_of_its_colours(client: LintingClient, world: World) -> None:
    hits = {"type": "FeatureCollection", "features": []}
    drawn = world.context.blobs.put(io.BytesIO(json.dumps(hits).encode())).digest
    entry = send(world.context, world.rival, world.slug)
    values = Scores(overall={"rmse": 1.0}, public={"rmse": 1.0}, private={"rmse": 1.0})
    report = ScoreReport(
        challenge=world.slug,
        status="scored",
        file=FileFacts(sha256="d" * 64, bytes=1),
        scores=values,
        blocks=2,
        findings=(),
        seconds=0.1,
        peak_rss_mib=1.0,
        metric_version="1",
        artifacts={"judge-hits.geojson": drawn},
    )
    for work in collecting.claim(world.context, worker="test", limit=5):
        assert collecting.record(world.context, work=work, answer=report.model_dump_json().encode())
    over(world)
    client.sign_in(world.judge)
    text = client.get(f"/judge/entries/{entry.id}").get_data(as_text=True)
    for words in ("Target: hit", "Target: miss", "Deposit: found", "Deposit: not found"):
        assert words in text
    assert "map-key" not in client.get(f"/judge/entries/{world.entry.id}").get_data(as_text=True)

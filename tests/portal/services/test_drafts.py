"""A sponsor's draft: sealed on arrival, checked, edited, published; faults at every step."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from datasets.edits import Edits, edited_toml
from datasets.errors import SpecError, TooLarge
from datasets.spec import parse_spec
from portal.domain.errors import Conflict, Forbidden, Invalid, NotFound
from portal.domain.permissions import Actor
from portal.domain.views import DraftEdit, DraftView, PrizeEdit
from portal.services import challenges, paying, publishing, ranking
from portal.store.tables import Draft
from tests.portal.town import FakeEngine, Town, challenge_toml, publication

ZIP = b"PK\x03\x04 the truth is 42 and hidden"
TOML = challenge_toml("fresh", per_day=5, public=0.5)


class Checker:
    """An engine for drafts: reads the ticket's edits into the challenge file and finds what it is told to find."""

    def __init__(self, town: Town, faults: list[dict[str, str]] | None = None, *, proved: bool = True) -> None:
        self.town, self.faults, self.proved = town, faults or [], proved

    def __call__(self, task: str, payload: bytes) -> bytes:
        ticket = json.loads(payload)
        edits = Edits.model_validate(ticket["edits"]) if ticket["edits"] else Edits()
        text = edited_toml(TOML, edits)
        if task == "publish":
            return publication(self.town.ctx, text, "fresh")
        spec = parse_spec(text)
        found: dict[str, Any] = {
            "slug": "fresh", "title": spec.challenge.title, "kind": "table", "spec": text, "faults": self.faults,
            "overview": edits.overview or "# Overview", "agreement": edits.agreement or "Agree.",
            "facts": {"truth": {"rows": 12}},
        }  # fmt: skip
        row = {
            "entry": "perfect",
            "status": "scored",
            "scores": {"rmse": 0.0},
            "findings": [],
            "expected": "0",
            "ok": self.proved,
        }
        return json.dumps(
            {"inspection": found, "dry_run": None if self.faults else {"ok": self.proved, "rows": [row]}}
        ).encode()


def upload(town: Town, name: str = "fresh.zip", content: bytes = ZIP) -> DraftView:
    return publishing.upload(town.ctx, actor=town.person("Sponsor"), stream=io.BytesIO(content), filename=name)


def seen(town: Town, draft: DraftView) -> DraftView:
    return publishing.draft(town.ctx, actor=town.person("Sponsor"), draft_id=draft.id)


def checked(town: Town, checker: Checker | None = None) -> DraftView:
    draft = upload(town)
    town.score_all(FakeEngine(checker or Checker(town)))
    return seen(town, draft)


def test_upload_check_edit_publish(both: Town) -> None:
    draft = upload(both)
    assert (draft.state, draft.edit) == ("checking", None)
    engine = FakeEngine(Checker(both))
    both.score_all(engine)
    ready = seen(both, draft)
    assert (ready.state, ready.slug, ready.title, ready.dry_run[0].ok) == ("ready", "fresh", "Grades of fresh", True)
    assert ready.report_text == "Ready to publish. Read truth: rows 12."
    assert ready.edit is not None
    changes = replace(
        ready.edit, title="A new title", prizes=(PrizeEdit(1, Decimal("700.00")),), agreement_md="New words."
    )
    assert (
        publishing.edit(both.ctx, actor=both.person("Sponsor"), draft_id=draft.id, changes=changes).state == "checking"
    )
    both.score_all(engine)
    assert seen(both, draft).edit == changes
    assert publishing.publish(both.ctx, actor=both.person("Sponsor"), draft_id=draft.id).state == "publishing"
    both.score_all(engine)
    assert seen(both, draft).state == "published"
    page = challenges.page(both.ctx, actor=both.person("Sponsor"), slug="fresh")
    assert (page.card.title, page.card.phase, page.card.pool_minor, page.me.role) == (
        "A new title",
        "open",
        100_000,
        "sponsor",
    )
    assert [prize.amount_minor for prize in page.prizes] == [70_000]
    assert (page.commitment, page.release is not None) == ("c" * 64, True)
    assert [task for task, _ in engine.tasks] == ["inspect", "inspect", "publish"]
    assert [row.kind for row in paying.ledger(both.ctx, actor=None, slug="fresh").rows] == ["funding"]
    assert paying.check(both.ctx) == []


def test_the_upload_cannot_be_read_by_this_process(lite: Town) -> None:
    upload(lite)
    stored = [path.read_bytes() for path in lite.ctx.settings.store_root.rglob("*") if path.is_file()]
    assert len(stored) == 1
    assert stored[0].startswith(b"age-encryption.org/v1")
    assert b"the truth is 42" not in stored[0]
    assert not any(path.is_file() for path in lite.ctx.settings.scratch_root.rglob("*"))


def test_faults_are_told_and_healed_by_an_edit(lite: Town) -> None:
    fault = {"file": "overview.md", "key": "", "message": "is empty.", "remedy": "Write it."}
    draft = checked(lite, Checker(lite, [fault]))
    assert (draft.state, [item.message for item in draft.faults]) == ("faulty", ["is empty."])
    with pytest.raises(Conflict, match="faulty and cannot become publishing"):
        publishing.publish(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id)
    assert draft.edit is not None
    publishing.edit(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id, changes=draft.edit)
    lite.score_all(FakeEngine(Checker(lite)))
    assert seen(lite, draft).state == "ready"


def test_a_dry_run_that_goes_wrong_keeps_the_draft_back(lite: Town) -> None:
    assert checked(lite, Checker(lite, proved=False)).state == "faulty"


def test_an_edit_that_cannot_be_is_refused_field_by_field(lite: Town) -> None:
    draft = checked(lite)
    assert draft.edit is not None
    wrong: DraftEdit = replace(
        draft.edit,
        title="",
        closes=draft.edit.opens - timedelta(days=1),
        pool=Decimal(1),
        agreement_md=" ",
        currency="EUR",
    )
    with pytest.raises(Invalid) as refusal:
        publishing.edit(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id, changes=wrong)
    assert set(refusal.value.field_errors) == {"title", "closes", "prizes", "agreement_md", "currency"}


def test_a_slug_is_taken_once(both: Town) -> None:
    drafts = [checked(both), checked(both)]
    for draft in drafts:
        publishing.publish(both.ctx, actor=both.person("Sponsor"), draft_id=draft.id)
    both.score_all(FakeEngine(Checker(both)))
    assert sorted(seen(both, draft).state for draft in drafts) == ["faulty", "published"]
    answer = publication(both.ctx, TOML, "fresh")
    with pytest.raises(Conflict, match="slug"):
        publishing.record_publication(both.ctx, actor=both.person("Sponsor"), answer=answer)


def test_publishing_into_the_past_is_refused(lite: Town) -> None:
    draft = checked(lite)
    lite.clock.advance(days=100)
    with pytest.raises(Conflict, match="close in the past"):
        publishing.publish(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id)
    assert seen(lite, draft).state == "ready"


def test_a_failing_platform_leaves_a_draft_that_can_be_saved_again(lite: Town) -> None:
    draft = checked(lite)
    assert draft.edit is not None
    publishing.edit(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id, changes=draft.edit)
    for _ in range(lite.ctx.settings.score_attempts):
        lite.score_all(FakeEngine(lambda _task, _payload: b'{"fault":"engine-fault","message":"disk full"}'))
        lite.clock.advance(minutes=2)
    assert seen(lite, draft).state == "failed"
    publishing.edit(lite.ctx, actor=lite.person("Sponsor"), draft_id=draft.id, changes=draft.edit)
    lite.score_all(FakeEngine(Checker(lite)))
    assert seen(lite, draft).state == "ready"


def test_drafts_are_ones_own(lite: Town) -> None:
    draft = checked(lite)
    for other in (lite.person("Expert A"), lite.operator()):
        assert publishing.drafts(lite.ctx, actor=other) == []
        with pytest.raises(NotFound):
            publishing.draft(lite.ctx, actor=other, draft_id=draft.id)
        with pytest.raises(NotFound):
            publishing.publish(lite.ctx, actor=other, draft_id=draft.id)
    reader = Actor(id=lite.person("Sponsor").id, name="S", email="s", scopes=frozenset({"read"}))
    with pytest.raises(Forbidden):
        publishing.drafts(lite.ctx, actor=reader)


def test_what_is_no_zip_or_too_large_leaves_no_draft(lite: Town) -> None:
    with pytest.raises(Invalid):
        upload(lite, "challenge.tar")
    with pytest.raises(TooLarge):
        upload(lite, content=b"x" * 100_001)
    with lite.ctx.reading() as session:
        assert session.query(Draft).count() == 0


def test_a_directory_is_published_through_the_same_engine(lite: Town, tmp_path: Any) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "challenge.toml").write_text(TOML)
    sponsor = lite.person("Sponsor")
    slug = publishing.publish_directory(lite.ctx, actor=sponsor, folder=tmp_path / "directory", run=Checker(lite))
    assert ranking.board(lite.ctx, actor=sponsor, slug=slug).rows == ()
    broken = b'{"publication":null,"faults":[{"file":"a","key":"","message":"is missing","remedy":""}]}'
    with pytest.raises(SpecError, match="is missing"):
        publishing.publish_directory(lite.ctx, actor=sponsor, folder=tmp_path / "directory", run=lambda _t, _p: broken)

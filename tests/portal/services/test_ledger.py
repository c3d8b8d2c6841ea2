"""The ledger against a model: whatever judges do and in whatever order, the books hold."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from portal.domain.errors import Conflict
from portal.domain.states import Verdict
from portal.services import challenges, paying, verifying
from portal.store import migrate
from tests.portal.town import Town, town

EXPERTS = ("A", "B", "C", "D")
SCORES = {"A": "1", "B": "1", "C": "2", "D": "3"}  # A and B share the first rank
TOTAL = 100_000


@cache
def ended() -> tuple["tempfile.TemporaryDirectory[str]", Town, dict[str, str]]:
    """A closed challenge with four scored entries, made once and copied for each example."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name)
    url = f"sqlite:///{path / 'ledger.db'}"
    migrate.upgrade(url)
    made = town(path, url)
    made.publish()
    made.judge()
    ids = {name: made.send(made.expert(f"Expert {name}"), SCORES[name]).id for name in EXPERTS}
    made.score_all()
    made.close()
    made.ctx.close()
    return folder, made, ids


class Judging(RuleBasedStateMachine):
    """Rulings and late declarations in any order. The model keeps the last verdicts and what was ever paid."""

    town: Town

    @initialize()
    def found(self) -> None:
        template, first, ids = ended()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "copy"
        shutil.copytree(template.name, path)
        self.town = town(path, f"sqlite:///{path / 'ledger.db'}")
        self.town.people, self.ids = dict(first.people), ids
        self.verdicts: dict[str, Verdict] = {}
        self.paid: dict[str, int] = {}
        self.tied: set[str] = set()

    @rule(name=st.sampled_from(EXPERTS), verdict=st.sampled_from(list(Verdict)))
    def ruled(self, name: str, verdict: Verdict) -> None:
        judge = self.town.person("Judge")
        try:
            verifying.rule(self.town.ctx, actor=judge, entry_id=self.ids[name], verdict=verdict, reason="Seen.")
        except Conflict:
            moved_up = bool(self.paid) and self.verdicts.get(name) is Verdict.REJECTED
            assert name in self.paid or moved_up  # others were paid on that rejection, so it stands
            return
        self.verdicts[name] = verdict

    @rule(name=st.sampled_from(EXPERTS))
    def declared(self, name: str) -> None:
        actor = self.town.person(f"Expert {name}")
        challenges.declare_affiliation(self.town.ctx, actor=actor, slug="grades", affiliated=True, statement="cousin")
        self.tied.add(name)

    @invariant()
    def books_hold(self) -> None:
        if not hasattr(self, "ids"):
            return
        assert paying.check(self.town.ctx) == []
        view = paying.ledger(self.town.ctx, actor=None, slug="grades")
        now = {row.entry_id: row.amount_minor for row in view.rows if row.kind == "prize"}
        names = {entry: name for name, entry in self.ids.items()}
        paid = {names[str(entry)]: amount for entry, amount in now.items()}
        assert self.paid.items() <= paid.items()  # nothing paid is ever taken back
        assert sum(paid.values()) == view.paid_minor <= TOTAL
        for name in paid.keys() - self.paid.keys():
            assert self.verdicts[name] is Verdict.VERIFIED
            assert name not in self.tied
        self.paid = paid

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.town.ctx.close()
            self.folder.cleanup()


TestJudging = Judging.TestCase
TestJudging.settings = settings(
    max_examples=12, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)

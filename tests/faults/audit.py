"""What must be true after any fault: the journal of what was acknowledged against the database and the files."""

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select

from datasets.store import LocalStore
from portal.domain.states import EntryState
from portal.services import ranking, submitting
from portal.store.tables import PrivateScore, Score, Submission
from scoring.contracts import ScoreReport
from scoring.offline import score_file
from tests.faults.stack import Stack, until

FINAL = frozenset({EntryState.SCORED, EntryState.REJECTED, EntryState.FAILED})


def await_final(stack: Stack) -> None:
    """Wait until every acknowledged entry has a final state."""

    def settled() -> bool:
        with stack.ctx.reading() as session:
            return all(state in FINAL for state in session.scalars(select(Submission.state)))

    until(settled, "every entry to reach its final state")


def audit(stack: Stack, folder: Path) -> dict[str, EntryState]:
    """Check every invariant against the challenge directory ``folder``; the state of each acknowledged entry."""
    with stack.ctx.reading() as session:
        rows = {str(row.id): row for row in session.scalars(select(Submission))}
        scores = list(session.scalars(select(Score)))
        private = {row.score_id: row for row in session.scalars(select(PrivateScore))}
    assert {receipt.id for receipt in stack.journal} == set(rows), "acknowledged and stored entries differ"
    counted = Counter(str(score.submission_id) for score in scores)
    by_entry = {str(score.submission_id): score for score in scores}
    for receipt in stack.journal:
        row = rows[receipt.id]
        assert row.state in FINAL, (receipt.name, row.state)
        assert (row.lease_until, row.worker) == (None, None)
        assert counted[receipt.id] == (0 if row.state is EntryState.FAILED else 1), receipt.name
        with stack.ctx.blobs.open(row.file_digest) as stream:
            assert stream.read() == receipt.content
        if row.state is EntryState.SCORED:
            score = by_entry[receipt.id]
            assert as_recorded(score, private[score.id]) == offline(folder, receipt.content), receipt.name
    store = LocalStore(stack.ctx.settings.store_root)
    for digest in store.digests():
        store.verify(digest)
    check_quotas(stack, rows)
    check_board(stack, rows, by_entry)
    return {receipt.id: rows[receipt.id].state for receipt in stack.journal}


def check_quotas(stack: Stack, rows: dict[str, Submission]) -> None:
    """Scored entries count, those the platform failed on do not."""
    for name, slug in {(receipt.name, receipt.slug) for receipt in stack.journal}:
        own = [rows[receipt.id] for receipt in stack.journal if receipt.name == name]
        quota = submitting.quota(stack.ctx, actor=stack.person(name), slug=slug)
        assert quota.used == sum(row.state is EntryState.SCORED for row in own), name
        assert quota.left == quota.per_day - quota.used


def check_board(stack: Stack, rows: dict[str, Submission], scores: dict[str, Score]) -> None:
    """The board shows the best public score of each team, and nothing else."""
    for slug in {receipt.slug for receipt in stack.journal}:
        best: dict[str, float] = {}
        for receipt in stack.journal:
            if rows[receipt.id].state is EntryState.SCORED:
                value = (scores[receipt.id].public or {})["rmse"]
                best[receipt.name] = min(value, best.get(receipt.name, value))
        board = ranking.board(stack.ctx, actor=None, slug=slug)
        assert {row.team: row.score for row in board.rows if row.rank is not None} == best


def as_recorded(score: Score, private: PrivateScore) -> object:
    return json.loads(json.dumps([private.overall, score.public, private.private]))


def offline(folder: Path, content: bytes) -> object:
    """Overall, public and private values of a file, computed once more without the portal."""
    with TemporaryDirectory() as room:
        file = Path(room) / "e.csv"
        file.write_bytes(content)
        report: ScoreReport = score_file(folder, file)
    assert report.scores is not None, report.findings
    return json.loads(json.dumps([report.scores.overall, report.scores.public, report.scores.private]))

"""An entry taken back in the middle of its scoring, on a real instance.

``tests/portal/services/test_queue.py`` lets withdrawing and recording meet on both databases; here the worker counts.
"""

import uuid
from pathlib import Path

import pytest

from portal.domain.errors import Conflict
from portal.domain.states import EntryState
from portal.services import submitting
from portal.store.tables import Score, Submission
from tests import challenges
from tests.faults.stack import stack, until

pytestmark = pytest.mark.slow


def test_an_entry_withdrawn_while_it_is_scored_ends_at_once_and_its_answer_is_dropped(
    sqlite_url: str, tmp_path: Path
) -> None:
    with stack(tmp_path, sqlite_url) as instance:
        example = challenges.table_numbers(tmp_path / "challenge")
        slug, content = instance.publish(example.folder), example.perfect.read_bytes()
        instance.start_scorer("--workers", "1")
        expert = instance.person("Expert A")

        def score_one() -> str:
            sent = instance.send("Expert A", slug, content).id
            until(
                lambda: submitting.entry(instance.ctx, actor=expert, entry_id=sent).state is EntryState.SCORED,
                "an entry to be scored",
            )
            return sent

        first = score_one()
        with instance.held():  # its file is not read before this block ends
            receipt = instance.send("Expert A", slug, content)
            room = instance.await_reading()
            withdrawn = submitting.withdraw(instance.ctx, actor=expert, entry_id=receipt.id)
            assert withdrawn.state is EntryState.WITHDRAWN
            until(lambda: not room.exists(), "the worker to let go of the entry")
        with pytest.raises(Conflict, match="withdrawn and cannot become withdrawn"):
            submitting.withdraw(instance.ctx, actor=expert, entry_id=receipt.id)
        assert submitting.quota(instance.ctx, actor=expert, slug=slug).used == 1
        last = score_one()
        with instance.ctx.reading() as session:
            row = session.get_one(Submission, uuid.UUID(receipt.id))
            assert (row.state, row.lease_until, row.worker) == (EntryState.WITHDRAWN, None, None)
            assert {str(score.submission_id) for score in session.query(Score)} == {first, last}

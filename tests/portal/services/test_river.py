"""From joining to the board, on both databases, with the real dispatcher and an engine that answers at once."""

from portal.domain.states import EntryState
from portal.services import downloading, ranking, submitting
from portal.store import challenges as store
from portal.store.challenges import by_slug, downloads
from tests.portal.town import Town


def test_register_sign_download_submit_score_rank(both: Town) -> None:
    both.publish()
    expert = both.expert("Expert A")
    taken = downloading.fetch(both.ctx, actor=expert, slug="grades", path="public/holes.csv")
    assert taken.local_path is not None
    assert taken.local_path.read_bytes() == b"hole,x\nA,1\n"

    entry = both.send(expert, "2.5")
    assert (entry.state, entry.number, entry.position) == (EntryState.QUEUED, 1, 1)
    receipt = submitting.verify_receipt(both.ctx, text=entry.receipt)
    assert receipt is not None
    assert (receipt.id, receipt.sha256) == (entry.id, entry.file_sha256)

    both.score_all()
    scored = submitting.entry(both.ctx, actor=expert, entry_id=entry.id)
    assert scored.state is EntryState.SCORED
    assert scored.public_scores == {"rmse": 2.5, "mae": 2.5}
    assert scored.final_scores is None

    board = ranking.board(both.ctx, actor=expert, slug="grades")
    assert [(row.rank_label, row.team, row.score, row.is_me, row.entry_id) for row in board.rows] == [
        ("1", "Expert A", 2.5, True, entry.id)
    ]
    with both.ctx.reading() as session:
        lines = downloads(session, store.people(session, by_slug(session, "grades").id)[-1][0].id)
        assert [line.path for line in lines] == ["public/holes.csv"]

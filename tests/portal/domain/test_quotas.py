"""The quota: one pure function, held to its definition."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.domain.quotas import COUNTED, UNSCORED, UNSCORED_FACTOR, WINDOW, Attempt, quota
from portal.domain.states import EntryState

NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)  # around a change to summer time, which must not matter
ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        st.timedeltas(timedelta(0), timedelta(hours=30)).map(lambda back: NOW - back),
        st.sampled_from(list(EntryState)),
    ),
    max_size=40,
)


def attempts(*hours: float, state: EntryState = EntryState.SCORED) -> list[Attempt]:
    return [Attempt(NOW - timedelta(hours=back), state) for back in hours]


def test_a_fresh_team_has_all_of_them() -> None:
    assert (quota([], 5, NOW).left, quota([], 5, NOW).next_at) == (5, None)


def test_the_next_one_comes_24_hours_after_the_oldest_that_counts() -> None:
    full = quota(attempts(1, 20, 3), 3, NOW)
    assert (full.used, full.left, full.next_at) == (3, 0, NOW + timedelta(hours=4))


def test_an_overrun_still_refuses_and_tells_when_enough_have_left() -> None:
    assert quota(attempts(1, 2, 3, 23), 2, NOW).next_at == NOW + timedelta(hours=22)


def test_an_attempt_leaves_exactly_after_24_hours() -> None:
    assert quota(attempts(24), 1, NOW).left == 1
    assert quota(attempts(24 - 1 / 3600), 1, NOW).left == 0


def test_faults_of_the_platform_never_count() -> None:
    assert quota(attempts(*range(20), state=EntryState.FAILED), 2, NOW).left == 2


def test_rejected_and_withdrawn_ones_have_a_cap_of_their_own() -> None:
    rejected = attempts(1, 2, 3, 4, 5, state=EntryState.REJECTED)
    assert quota(rejected[1:], 1, NOW).left == 1
    assert quota(rejected, 1, NOW).left == 0
    assert quota(rejected, 1, NOW).next_at == NOW + timedelta(hours=19)


@given(ATTEMPTS, st.integers(1, 6))
def test_left_is_what_the_definition_says(sent: list[Attempt], per_day: int) -> None:
    recent = [attempt for attempt in sent if NOW - attempt.received_at < WINDOW]
    counted = sum(attempt.state in COUNTED for attempt in recent)
    unscored = sum(attempt.state in UNSCORED for attempt in recent)
    allowed = 0 if unscored >= UNSCORED_FACTOR * per_day else max(0, per_day - counted)
    assert quota(sent, per_day, NOW).left == allowed


@given(ATTEMPTS, st.integers(1, 6))
def test_next_at_is_the_first_moment_with_one_left(sent: list[Attempt], per_day: int) -> None:
    found = quota(sent, per_day, NOW)
    if found.next_at is None:
        assert found.left > 0
        return
    assert quota(sent, per_day, found.next_at).left > 0
    assert quota(sent, per_day, found.next_at - timedelta(microseconds=1)).left == 0

"""Every metric gives what was worked by hand, and every metric was."""

import pytest

from scoring.metrics.registry import METRICS
from tests.golden.by_hand import CASES, Case

WORKED = [(case, name) for case in CASES for name in case.values]
IDS = [f"{case.kind}-{name}{'-weighted' * case.weighted}" for case, name in WORKED]


@pytest.mark.parametrize(("case", "name"), WORKED, ids=IDS)
def test_worked_by_hand(case: Case, name: str) -> None:
    metric = METRICS[case.kind, name]
    found = metric.finish(metric.family.partial(case.sample, case.options), case.options)
    assert found == pytest.approx(case.values[name], rel=1e-14, nan_ok=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_every_metric_is_worked_by_hand(weighted: bool) -> None:
    assert {(case.kind, name) for case, name in WORKED if case.weighted == weighted} == set(METRICS)

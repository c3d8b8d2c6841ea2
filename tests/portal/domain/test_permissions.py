"""The permission matrix, every cell."""

import itertools

import pytest

from portal.domain.permissions import SCOPES, Action, Actor, Standing, refusal
from portal.domain.states import Role

PEOPLE: dict[str, tuple[bool, Standing]] = {
    "stranger": (False, Standing()),
    "expert": (False, Standing(frozenset({Role.EXPERT}), signed=True)),
    "expert, agreement changed": (False, Standing(frozenset({Role.EXPERT}))),
    "sponsor": (False, Standing(frozenset({Role.SPONSOR}))),
    "judge": (False, Standing(frozenset({Role.JUDGE}))),
    "judge, signed": (False, Standing(frozenset({Role.JUDGE}), signed=True)),
    "judge, in conflict": (False, Standing(frozenset({Role.JUDGE}), conflicted=True)),
    "operator": (True, Standing()),
    "operator, signed": (True, Standing(signed=True)),
}
MATRIX: dict[Action, set[str]] = {
    "sign": set(PEOPLE),
    "download": {"expert", "sponsor", "judge, signed", "operator", "operator, signed"},
    "submit": {"expert", "expert, agreement changed"},  # the gate then asks for the new agreement
    "manage": {"sponsor", "operator", "operator, signed"},
    "judge": {"judge", "judge, signed"},
    "follow": set(PEOPLE) - {"stranger"},
}
NEEDS = {
    "sign": "submit",
    "download": "read",
    "submit": "submit",
    "manage": "sponsor",
    "judge": "judge",
    "follow": "read",
}


def actor(operator: bool, scopes: frozenset[str] | None = None) -> Actor:
    return Actor(id="1", name="N", email="e", is_operator=operator, scopes=scopes)


@pytest.mark.parametrize(("action", "person"), list(itertools.product(MATRIX, PEOPLE)))
def test_who_may_do_what(action: Action, person: str) -> None:
    operator, standing = PEOPLE[person]
    assert (refusal(actor(operator), action, standing) is None) == (person in MATRIX[action])


@pytest.mark.parametrize(("action", "scope"), list(itertools.product(MATRIX, SCOPES)))
def test_a_token_does_only_what_its_scope_allows(action: Action, scope: str) -> None:
    for operator, standing in PEOPLE.values():
        with_token = refusal(actor(operator, frozenset({scope})), action, standing)
        assert with_token is not None or (scope == NEEDS[action] and refusal(actor(operator), action, standing) is None)

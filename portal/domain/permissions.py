"""Who may do what, decided from plain facts. One table; every service asks here."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from portal.domain.states import Role

Scope = Literal["read", "submit", "sponsor", "judge"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "sponsor", "judge")


@dataclass(frozen=True, slots=True)
class Actor:
    """A person who is signed in, by a browser session or an API token.

    ``session_id`` is the opaque secret of the browser session, the one the cookie carries (None with a token);
    ``scopes`` is None for a browser session (everything the person may do), else the token's scopes.
    """

    id: str
    name: str
    email: str = field(repr=False)
    is_operator: bool = False
    session_id: str | None = field(default=None, repr=False)
    scopes: frozenset[str] | None = None
    roles: Collection[str] = ()  # every role held in any challenge; for navigation only

    def has_scope(self, scope: Scope) -> bool:
        return self.scopes is None or scope in self.scopes


Action = Literal["sign", "download", "submit", "manage", "judge", "follow"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a person is in one challenge: ``roles`` held, agreement in force signed or not, conflict declared or not."""

    roles: frozenset[Role] = frozenset()
    signed: bool = False
    conflicted: bool = False

    @property
    def inside(self) -> bool:
        """On the side of those who run the challenge."""
        return bool(self.roles & {Role.SPONSOR, Role.JUDGE})


_SCOPES: Mapping[Action, Scope] = MappingProxyType(
    {"sign": "submit", "download": "read", "submit": "submit", "manage": "sponsor", "judge": "judge", "follow": "read"}
)


def refusal(actor: Actor, action: Action, standing: Standing) -> str | None:
    """Why ``actor`` may not do this in a challenge, or None if they may.

    ========  ====================================================================================
    sign      anybody (operators and insiders sign as readers and never compete)
    download  who signed the agreement in force, sponsors of the challenge, operators
    submit    experts who signed; never operators, sponsors or judges of the challenge
    manage    sponsors of the challenge, operators
    judge     judges of the challenge without a declared conflict
    follow    experts, sponsors, judges and operators
    ========  ====================================================================================
    """
    if not actor.has_scope(_SCOPES[action]):
        return f"This token has no scope {_SCOPES[action]!r}. Issue one that has it."
    rule = _RULES[action]
    return None if rule is None else rule(actor, standing)


def _download(actor: Actor, standing: Standing) -> str | None:
    allowed = actor.is_operator or Role.SPONSOR in standing.roles or standing.signed
    return None if allowed else "Read and sign the data agreement first."


def _submit(actor: Actor, standing: Standing) -> str | None:
    if actor.is_operator:
        return "Operators see what experts must not see, so they cannot compete."
    if standing.inside:
        return "Sponsors and judges of a challenge cannot compete in it."
    return None if Role.EXPERT in standing.roles else "Read and sign the data agreement first."


def _manage(actor: Actor, standing: Standing) -> str | None:
    return (
        None if actor.is_operator or Role.SPONSOR in standing.roles else "Only a sponsor of this challenge may do that."
    )


def _judge(_actor: Actor, standing: Standing) -> str | None:
    if Role.JUDGE not in standing.roles:
        return "Only a judge of this challenge may do that."
    return (
        "You declared a conflict of interest in this challenge, so another judge decides."
        if standing.conflicted
        else None
    )


def _follow(actor: Actor, standing: Standing) -> str | None:
    return (
        None if actor.is_operator or standing.roles else "Join the challenge first: read and sign its data agreement."
    )


_RULES: Mapping[Action, Callable[[Actor, Standing], str | None] | None] = MappingProxyType(
    {"sign": None, "download": _download, "submit": _submit, "manage": _manage, "judge": _judge, "follow": _follow}
)

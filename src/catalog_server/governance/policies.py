"""Which changes of a lifecycle need an approval, and whose: the policies file (spec platform.md 9.6). Pure.

Read once, at the start: a file that is wrong stops it, since a policy that is not in force is worse than no server.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from catalog_server.errors import Invalid
from catalog_server.governance.asset import AssetRef, same_kind
from catalog_server.governance.files import Part, Parts, parse_file, placed
from catalog_server.governance.lifecycle import State

ANY: Final = ("", "*")
_Id = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128)]
_Text = Annotated[str, Meta(max_length=2000)]
_Word = Annotated[str, Meta(min_length=1, max_length=255)]


class Transition(Part, frozen=True):
    """From one state to another; `*` or nothing stands for any."""

    from_: Literal["draft", "approved", "deprecated", "archived", "*", ""] = msgspec.field(name="from", default="")
    to: Literal["draft", "approved", "deprecated", "archived", "*", ""] = ""

    def matches(self, before: State, after: State) -> bool:
        return self.from_ in (*ANY, before) and self.to in (*ANY, after)


class Selector(Part, frozen=True):
    """What a policy is about. An empty list does not narrow."""

    plugins: tuple[_Word, ...] = ()
    kinds: tuple[_Word, ...] = ()
    risk_levels: tuple[Literal["low", "medium", "high", "critical"], ...] = ()
    transitions: tuple[Transition, ...] = ()


class Gate(Part, frozen=True):
    """What it takes. `allowed_roles` empty: whoever may approve at all."""

    required_count: Annotated[int, Meta(ge=1, le=100)] = 1
    allowed_roles: tuple[_Word, ...] = ()
    deny_on_first: bool = False


class Policy(Part, frozen=True):
    """One entry of the file."""

    id: _Id
    display_name: _Text = ""
    description: _Text = ""
    enabled: bool = True
    selector: Selector = Selector()
    gate: Gate = Gate()
    expiry_hours: Annotated[int, Meta(ge=1, le=8760)] = 72

    @property
    def document(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self))


class _File(Part, frozen=True):
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Policies:
    """All of them, in the order of the file."""

    entries: Sequence[Policy] = ()

    def find(self, asset: AssetRef, risk: str, before: State, after: State) -> Policy | None:
        """The first one in force that is about this change; None: it needs no approval."""
        for policy in self.entries:
            selector = policy.selector
            has = (
                _has(selector.plugins, asset.plugin)
                and (not selector.kinds or any(same_kind(kind, asset.kind) for kind in selector.kinds))
                and _has(selector.risk_levels, risk)
            )
            transitions = selector.transitions
            if policy.enabled and has and (not transitions or any(one.matches(before, after) for one in transitions)):
                return policy
        return None


def _has(wanted: Collection[str], value: str) -> bool:
    return not wanted or value in wanted


def parse_policies(data: bytes, *, file: str) -> Policies:
    """The policies in the text of a file.

    Raises:
        Invalid: it is no YAML, or breaks a rule; with file, line and field.
    """
    found, document = parse_file(data, file, _File, _PARTS)
    try:
        _check_ids(found.policies)
    except Invalid as error:
        raise placed(error, document) from None
    return Policies(found.policies)


def _check_ids(policies: Sequence[Policy]) -> None:
    first: dict[str, int] = {}
    for number, policy in enumerate(policies):
        if first.setdefault(policy.id, number) != number:
            raise Invalid(f"{policy.id} stands at policies[{first[policy.id]}] already", field=f"policies[{number}].id")


_PARTS: Final[Parts] = {
    "": _File,
    "policies": Policy,
    "policies.selector": Selector,
    "policies.selector.transitions": Transition,
    "policies.gate": Gate,
}

"""The actions that every plugin has: tag, annotate and deprecate an entity, refresh a source (spec http-api.md 4.7).

Pure but for who does it: an action turns parameters into a change of an overlay, and says what it would do or did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from catalog_server.catalog.overlays import PHASES, Overlay
from catalog_server.errors import Invalid

Scope = Literal["source", "asset"]
Params = Mapping[str, Any]
_TAG_MODES: Final = ("replace", "add", "remove")


@dataclass(frozen=True, slots=True)
class Action:
    """What clients are told of an action."""

    id: str
    display_name: str
    description: str
    scope: Scope
    supports_dry_run: bool
    idempotent: bool = True

    @property
    def document(self) -> dict[str, Any]:
        """ActionDefinition."""
        return {
            "id": self.id,
            "displayName": self.display_name,
            "description": self.description,
            "scope": self.scope,
            "supportsDryRun": self.supports_dry_run,
            "idempotent": self.idempotent,
        }


ACTIONS: Final = (
    Action("tag", "Tag", "Replace, add or remove tags of an entity.", "asset", True),
    Action("annotate", "Annotate", "Set annotations of an entity; the value null removes one.", "asset", True),
    Action("deprecate", "Deprecate", f"Set the phase of life of an entity: {', '.join(PHASES)}.", "asset", True),
    Action("refresh", "Refresh", "Load a source anew.", "source", False),
)


def find_action(scope: Scope, name: Any, *, dry_run: bool) -> Action:
    """The action of this name and scope. Raises Invalid."""
    if not isinstance(name, str) or not name:
        raise Invalid("action field is required", field="action")
    known = [action for action in ACTIONS if action.scope == scope]
    for action in known:
        if action.id == name:
            if dry_run and not action.supports_dry_run:
                raise Invalid(f"{name} does not support dryRun", field="dryRun")
            return action
    names = ", ".join(action.id for action in known)
    raise Invalid(f"unknown action {name[:80]!r} for the scope {scope}; known: {names}", field="action")


@dataclass(frozen=True, slots=True)
class Planned:
    """A change of an overlay. `verb` says what it does to the entity; `data` what of the new overlay it is about."""

    change: Callable[[Overlay], Overlay]
    verb: str
    data: Callable[[Overlay], dict[str, Any]]
    given: dict[str, Any]

    def message(self, name: str, *, dry_run: bool) -> str:
        return ("would " if dry_run else "") + self.verb.format(name=name)


def plan_action(action: Action, params: Params) -> Planned:
    """What an asset action does with these parameters. Raises Invalid."""
    return {"tag": _plan_tag, "annotate": _plan_annotate, "deprecate": _plan_deprecate}[action.id](params)


def _plan_tag(params: Params) -> Planned:
    _check_known(params, ("tags", "mode"))
    tags = params.get("tags")
    if tags is None:
        raise Invalid('missing "tags" parameter', field="params.tags")
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag.strip() for tag in tags):
        raise Invalid("must be a list of text without empty ones", field="params.tags")
    Overlay(tags=tuple(tags)).check()  # what is given, though it may hold duplicates or take something away
    mode = params.get("mode", "replace")
    if mode not in _TAG_MODES:
        raise Invalid(f"must be one of {', '.join(_TAG_MODES)}", field="params.mode")
    unique = tuple(dict.fromkeys(tag.strip() for tag in tags))

    def change(overlay: Overlay) -> Overlay:
        if mode == "add":
            return replace(overlay, tags=tuple(dict.fromkeys((*overlay.tags, *unique))))
        kept = tuple(tag for tag in overlay.tags if tag not in unique)
        return replace(overlay, tags=kept if mode == "remove" else unique)

    verb = {"replace": "set", "add": "add", "remove": "remove"}[mode]
    return Planned(
        change, f"{verb} {len(unique)} tags on {{name}}", lambda o: {"tags": list(o.tags)}, {"tags": list(unique)}
    )


def _plan_annotate(params: Params) -> Planned:
    _check_known(params, ("annotations",))
    given = params.get("annotations")
    if given is None:
        raise Invalid('missing "annotations" parameter', field="params.annotations")
    if not isinstance(given, Mapping) or not all(value is None or isinstance(value, str) for value in given.values()):
        raise Invalid("must be an object of texts, or null to remove one", field="params.annotations")
    if not all(given):
        raise Invalid("an annotation needs a name", field="params.annotations")
    Overlay(annotations={name: value or "" for name, value in given.items()}).check()

    def change(overlay: Overlay) -> Overlay:
        merged = {**overlay.annotations, **given}
        return replace(overlay, annotations={key: value for key, value in merged.items() if value is not None})

    return Planned(
        change,
        f"set {len(given)} annotations on {{name}}",
        lambda overlay: {"annotations": dict(overlay.annotations)},
        {"annotations": dict(given)},
    )


def _plan_deprecate(params: Params) -> Planned:
    _check_known(params, ("phase",))
    phase = params.get("phase", "deprecated")
    if phase not in PHASES:
        raise Invalid(f"must be one of {', '.join(PHASES)}", field="params.phase")
    return Planned(
        lambda overlay: replace(overlay, phase=phase),
        f'set lifecycle of {{name}} to "{phase}"',
        lambda overlay: {"lifecycle": overlay.phase},
        {"lifecycle": phase},
    )


def _check_known(params: Params, known: tuple[str, ...]) -> None:
    for key in params:
        if key not in known:
            raise Invalid(f"unknown parameter; known: {', '.join(known)}", field=f"params.{key[:80]}")

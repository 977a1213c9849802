"""What governance is about: an asset, by plugin, kind and name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from catalog_server.errors import Invalid

WORD: Final = "[A-Za-z0-9][A-Za-z0-9._-]*"
MAX_WORD: Final = 63
MAX_NAME: Final = 512
# As of the entities of a catalog (schema/decode.py), all of which can be governed.
_CONTROLS: Final = r"\u0000-\u001f\u007f-\u009f"


def name_pattern(also_not: str = "") -> str:
    """What a name looks like; further characters that it has not."""
    never, never_outside = f"{also_not}{_CONTROLS}", f"{also_not}\\s{_CONTROLS}"
    return f"[^{never_outside}](?:[^{never}]*[^{never_outside}])?"


_WORD, _NAME = re.compile(WORD), re.compile(name_pattern())


def same_kind(one: str, other: str) -> bool:
    """Whether two spellings mean one kind: their case does not count."""
    return one.lower() == other.lower()


@dataclass(frozen=True, slots=True)
class AssetRef:
    """Names an asset. Neither plugin nor kind hold a colon, so that no two assets have one uid."""

    plugin: str
    kind: str
    name: str

    def __post_init__(self) -> None:
        """Raises Invalid when no asset can have such a name."""
        for field, value in (("plugin", self.plugin), ("kind", self.kind)):
            if len(value) > MAX_WORD or _WORD.fullmatch(value) is None:
                rule = f"1 to {MAX_WORD} letters, digits and . _ -, the first of them a letter or digit"
                raise Invalid(f"{value[:80]!r} is not {rule}", field=field)
        if len(self.name) > MAX_NAME or _NAME.fullmatch(self.name) is None:
            rule = f"must have 1 to {MAX_NAME} characters, no control characters, and no blanks around it"
            raise Invalid(rule, field="name")

    @property
    def uid(self) -> str:
        return f"{self.plugin}:{self.kind}:{self.name}"

    @property
    def document(self) -> dict[str, str]:
        return {"plugin": self.plugin, "kind": self.kind, "name": self.name}

"""From what a hub says about a model to an entry of a model catalog file (spec plugins.md 1.1, 3.5), and to the file.

Pure, and the same bytes for the same models: sorted by name, nothing of the moment in it. So a hub that did not change
gives a file that did not change, and nothing is read or written for it. This is why `last_synced`, which others add to
each model, is left out: the status of the source says when it was fetched.
Not for: licence names and custom property types, which the model plugin's own kind looks after.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from catalog_server.providers.hf_library import ModelCardData, ModelInfo

README_NAMES: Final = ("README.md", "readme.md", "Readme.md", "README", "readme")
LOGO: Final = (
    "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHJlY3Qgd2lk"
    "dGg9IjI0IiBoZWlnaHQ9IjI0IiByeD0iNSIgZmlsbD0iI2ZmZDIxZSIvPjxwYXRoIGQ9Ik03IDZ2MTJNMTcgNnYxMk03IDEyaDEwIiBzdHJva2U9IiMz"
    "MzMiIHN0cm9rZS13aWR0aD0iMyIvPjwvc3ZnPg=="
)
"""A square with an H: drawn for this catalog, so that no trademark is shown."""
_LICENSE_TAG: Final = "license:"
_LINK_KEYS: Final = ("license_link", "licenseLink", "license_url", "licenseUrl", "license")
_UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
# JSON takes these as they are inside a text, YAML takes them for line ends or refuses them.
_TO_ESCAPE: Final = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A model as an entry without its readme, and the file that the readme stands in."""

    entry: Entry
    readme_file: str | None

    @property
    def name(self) -> str:
        return str(self.entry["name"])


def name_of(model: ModelInfo) -> str:
    """Nothing where the hub sent no text: the library checks no types."""
    given: Any = model.id
    return given if isinstance(given, str) else ""


def is_complete(model: ModelInfo) -> bool:
    """Whether a list gave all that a record of its own would; older hubs give only the name there."""
    return model.siblings is not None and (model.card_data is not None or _readme_file(model) is None)


def describe_model(model: ModelInfo) -> Described:
    name, card = name_of(model), _card(model.card_data)
    license_id = _license(model.tags, card)
    entry: Entry = {
        "name": name,
        "externalId": name,
        "provider": _text(model.author) or name.rpartition("/")[0],
        "description": _text(card.get("description")),
        "tasks": _unique([getattr(model, "task", None), model.pipeline_tag]),
        "language": _unique(_as_list(card.get("language"))),
        "license": license_id,
        "licenseLink": _link(card),
        "libraryName": _text(model.library_name),
        "logo": LOGO,
        "createTimeSinceEpoch": _milliseconds(model.created_at),
        "lastUpdateTimeSinceEpoch": _milliseconds(model.last_modified),
        "customProperties": _custom_properties(model),
        "artifacts": [{"uri": f"hf://{name}", "name": f"{name}-hf-artifact", "externalId": name}],
    }
    return Described({key: value for key, value in entry.items() if value}, _readme_file(model))


def with_readme(entry: Entry, readme: str) -> Entry:
    text = _UNSTORABLE.sub("", readme)
    return {**entry, "readme": text} if text.strip() else entry


def encode_entry(entry: Entry) -> bytes:
    """One line of JSON, and of YAML too, which is what will read it."""
    text = json.dumps(entry, ensure_ascii=False)
    return _TO_ESCAPE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def build_document(lines: Sequence[bytes]) -> bytes:
    """The catalog file of entries that encode_entry made, in the order given."""
    return b'{"models": [\n%s\n]}\n' % b",\n".join(lines)


def _custom_properties(model: ModelInfo) -> Entry:
    config = model.config if isinstance(model.config, Mapping) else {}
    tags = [tag for tag in _unique(_as_list(model.tags)) if not tag.startswith(_LICENSE_TAG)]
    found = {
        "hf_private": _word(model.private),
        "hf_gated": _word(model.gated),
        "hf_tags": _json_list(tags),
        "hf_architectures": _json_list(_unique(_as_list(config.get("architectures")))),
        "hf_model_type": _text(config.get("model_type")),
    }
    return {
        key: {"metadataType": "MetadataStringValue", "string_value": value} for key, value in found.items() if value
    }


def _card(given: Any) -> Mapping[str, Any]:
    """The hub sends the card's fields themselves; some of its imitations send them below `data`."""
    if not isinstance(given, ModelCardData):
        return {}
    own = {key: value for key, value in vars(given).items() if value is not None}
    inner = own.get("data")
    return {**inner, **own} if isinstance(inner, Mapping) else own


def _license(tags: Any, card: Mapping[str, Any]) -> str:
    for tag in _unique(_as_list(tags)):
        if tag.startswith(_LICENSE_TAG) and tag != _LICENSE_TAG:
            return tag.removeprefix(_LICENSE_TAG)
    given = _text(card.get("license"))
    return "" if _is_link(given) else given


def _link(card: Mapping[str, Any]) -> str:
    return next((text for text in (_text(card.get(key)) for key in _LINK_KEYS) if _is_link(text)), "")


def _is_link(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def _readme_file(model: ModelInfo) -> str | None:
    names = _unique(file.rfilename for file in model.siblings or ())
    return next((name for name in README_NAMES if name in names), None)


def _milliseconds(given: datetime | None) -> str:
    return "" if given is None else str(max(0, int(given.timestamp() * 1000)) or "")


def _word(given: Any) -> str:
    """`private` is true or false, `gated` is false or the way in: auto or manual."""
    return str(given).lower() if isinstance(given, bool) else _text(given)


def _text(given: Any) -> str:
    return _UNSTORABLE.sub("", given).strip() if isinstance(given, str) else ""


def _as_list(given: Any) -> list[Any]:
    """A card says `language: en` as well as `language: [en, de]`."""
    return given if isinstance(given, list) else [given]


def _unique(given: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(text for text in map(_text, given) if text))


def _json_list(texts: list[str]) -> str:
    return json.dumps(texts, ensure_ascii=False) if texts else ""

"""Synthetic MCP servers of about 4 KB each: the same for the same count, on every machine.

Only what decides speed is made to look real: few and many distinct values, words that are common and rare, unique
names, numbers, flags, lists, custom properties and a readme that is most of the bytes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Final

import msgspec

TOP_KEY: Final = "mcp_servers"
SOURCE_SIZE: Final = 10_000
"""Entities of one source, and so of one file."""

MODES: Final = ("local", "remote", "hybrid")
TRANSPORTS: Final = ("stdio", "sse", "streamable-http")
LICENSES: Final = ("Apache-2.0", "MIT", "BSD-3-Clause", "Proprietary", "GPL-3.0")
CATEGORIES: Final = (
    *("billing", "browser", "calendar", "chat", "cluster", "code", "crm", "data", "design", "documents", "finance"),
    *("identity", "images", "logistics", "mail", "maps", "metrics", "payments", "search", "storage"),
)
REGIONS: Final = ("eu-north", "eu-west", "us-east", "us-west", "ap-south")
TAGS: Final = tuple(f"tag-{number:03d}" for number in range(200))
_SYLLABLES: Final = [
    "ba",
    "con",
    "di",
    "el",
    "fra",
    "gor",
    "hi",
    "ja",
    "ker",
    "lo",
    "mi",
    "nu",
    "or",
    "pe",
    "qui",
    "ro",
]
_README_LINES: Final = 23
_DESCRIPTION_WORDS: Final = 24
_EPOCH_MS: Final = 1_700_000_000_000


def _vocabulary(size: int) -> list[str]:
    count = len(_SYLLABLES)
    return ["".join(_SYLLABLES[number // count**place % count] for place in range(4)) for number in range(size)]


WORDS: Final = _vocabulary(20_000)
PROVIDERS: Final = tuple(f"{word.capitalize()} Labs" for word in WORDS[:500])
_SHARES: Final = list(accumulate(1 / (rank + 10) for rank in range(len(WORDS))))  # few words are most of the text


def _draw(rng: random.Random, count: int) -> list[str]:
    return rng.choices(WORDS, cum_weights=_SHARES, k=count)


_SEED: Final = random.Random(0)  # noqa: S311 - data has to be repeatable, not secret
_LINES: Final = [" ".join(_draw(_SEED, 14)) + "." for _ in range(1000)]


def make_entities(count: int, *, tools: int = 0) -> Iterator[dict[str, Any]]:
    """The first `count` entities, as a catalog file holds them; with `tools`, each has that many child rows."""
    for number in range(count):
        yield make_entity(number, tools)


def make_entity(number: int, tools: int = 0) -> dict[str, Any]:
    rng = random.Random(number)  # noqa: S311 - data has to be repeatable, not secret
    words = _draw(rng, _DESCRIPTION_WORDS)
    name = f"{words[0]}-{words[1]}-{number:06d}"
    entity: dict[str, Any] = {
        "name": name,
        "description": " ".join(words),
        "version": f"{rng.randrange(9)}.{rng.randrange(20)}.{rng.randrange(9)}",
        "provider": rng.choice(PROVIDERS),
        "category": rng.choice(CATEGORIES),
        "license": rng.choice(LICENSES),
        "deploymentMode": rng.choice(MODES),
        "transportType": rng.choice(TRANSPORTS),
        "toolCount": tools or rng.randrange(1, 60),
        "resourceCount": rng.randrange(20),
        "verified": rng.random() < 0.5,
        "serverUrl": f"https://mcp.example.com/{name}",
        "tags": rng.sample(TAGS, 4),
        "customProperties": {"region": rng.choice(REGIONS), "costCenter": rng.randrange(1000), "owner": words[2]},
        "createTimeSinceEpoch": str(_EPOCH_MS + number * 1000),
        "lastUpdateTimeSinceEpoch": str(_EPOCH_MS + rng.randrange(10**10)),
        "readme": f"# {name}\n\n" + "\n".join(rng.choices(_LINES, k=_README_LINES)) + "\n",
    }
    if tools:
        entity["tools"] = [_make_tool(word) for word in words[:tools]]
    return entity


def _make_tool(word: str) -> dict[str, Any]:
    parameter = {"name": "id", "type": "string", "description": "Which one", "required": True}
    return {"name": f"{word}_get", "description": f"Reads {word}", "accessType": "read_only", "parameters": [parameter]}


def searched_words(entity: dict[str, Any]) -> set[str]:
    """What `q` looks into."""
    texts = (entity["name"], entity["description"], entity["provider"], entity["category"], *entity["tags"])
    return {word for text in texts for word in text.casefold().split()}


def write_sources(folder: Path, size: int) -> None:
    """Catalog files of at most SOURCE_SIZE entities each, and the configuration that names them."""
    entities = make_entities(size)
    lines = ["apiVersion: catalog/v1alpha1", "kind: CatalogSources", "catalogs:", "  mcp:", "    sources:"]
    for number in range(-(-size // SOURCE_SIZE)):
        name = f"bench-{number:02d}"
        write_file(folder / f"{name}.yaml", islice(entities, SOURCE_SIZE))
        lines.append(f"      - {{id: {name}, name: {name}, type: yaml, properties: {{path: {name}.yaml}}}}")
    (folder / "sources.yaml").write_text("\n".join(lines) + "\n")


def write_file(path: Path, entities: Iterable[dict[str, Any]]) -> None:
    """A catalog file in the form that people write: a key a line, the readme as a block of text."""
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(f"{TOP_KEY}:\n")
        for entity in entities:
            file.write("  - " + "    ".join(_write_field(key, value) for key, value in entity.items()))
    draft.replace(path)


def _write_field(key: str, value: Any) -> str:
    if key == "readme":
        return f"{key}: |\n" + "".join(f"      {line}\n" if line else "\n" for line in value.splitlines())
    return f"{key}: {msgspec.json.encode(value).decode()}\n"

"""The configuration file of the client: one JSON object of known keys, readable by its owner alone.

For: what a user does not want to type in each command. A flag wins over a variable, a variable over this file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from catalog_server.cli.client.failures import Usage
from catalog_server.cli.client.rendering import FORMATS

REDACTED: Final = "***REDACTED***"
KEYS: Final[Mapping[str, str]] = {
    "server": "Base URL of the server",
    "namespace": "Tenant that each call is for",
    "user": "Name sent as X-Remote-User",
    "groups": "Groups sent as X-Remote-Group, separated by commas",
    "role": "Role sent as X-User-Role",
    "token": "Bearer token; better keep it in a file of its own",
    "token-file": "File that holds the bearer token",
    "ca-file": "Certificates of authorities to trust, as PEM",
    "insecure-skip-verify": "true: do not verify the server's certificate",
    "timeout": "Seconds that a call may take",
    "output": f"Format of the output: {', '.join(FORMATS)}",
}


def load(path: Path) -> dict[str, str]:
    """The file's keys; none when there is no file.

    Raises:
        Usage: the file cannot be read, or is not what `save` writes.
    """
    try:
        parsed = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise Usage(f"the configuration {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise Usage(f"the configuration {path} is not JSON: {error}") from error
    if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
        raise Usage(f"the configuration {path} is not an object of texts")
    for key in parsed:
        check_key(key, str(path))
    return parsed


def save(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file as a whole; a reader sees the old one or the new one.

    Raises:
        Usage: it cannot be written.
    """
    try:
        write_private(path, json.dumps(dict(values), indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Usage(f"the configuration {path} cannot be written: {error.strerror}") from error


def changed(values: Mapping[str, str], key: str, value: str) -> dict[str, str]:
    """The values with this one set; an empty value removes the key.

    Raises:
        Usage: there is no such key, or it does not take this value.
    """
    check_key(key, "config set")
    _check_value(key, value)
    return {name: text for name, text in {**values, key: value}.items() if text}


def redacted(values: Mapping[str, str]) -> dict[str, str]:
    """What may be shown."""
    return {key: REDACTED if key == "token" else value for key, value in values.items()}


def check_key(key: str, where: str) -> None:
    if key not in KEYS:
        raise Usage(f"{where}: there is no key {key!r}; the keys are {', '.join(KEYS)}")


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 beside its place and put it there in one step."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp makes files of mode 0600
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def parse_seconds(text: str) -> float:
    """A time that a call may take.

    Raises:
        Usage: it is not a number above 0.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 10**6:
        raise Usage(f"timeout: {text!r} is not a number of seconds above 0")
    return seconds


def parse_truth(key: str, text: str) -> bool:
    if text not in ("", "true", "false"):
        raise Usage(f"{key}: {text!r} is neither true nor false")
    return text == "true"


def _check_value(key: str, value: Any) -> None:
    if key == "timeout" and value:
        parse_seconds(value)
    if key == "insecure-skip-verify":
        parse_truth(key, value)
    if key == "output" and value and value not in FORMATS:
        raise Usage(f"output: {value!r} is not one of {', '.join(FORMATS)}")

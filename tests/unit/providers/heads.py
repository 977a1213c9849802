"""Heads of HTTP answers."""

from __future__ import annotations

from email.message import Message


def head(**headers: str) -> Message:
    """The given headers, with an underscore for each hyphen."""
    message = Message()
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    return message

"""Kafka's uuids: 16 bytes, written as 22 characters of base64 for URLs, without padding."""
from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

UUID_BYTES = 16


def new_uuid() -> bytes:
    """A random id; never one whose text begins with '-', which tools take for an option."""
    while True:
        made = uuid.uuid4().bytes
        if not uuid_text(made).startswith("-"):
            return made


def uuid_text(value: bytes) -> str:
    """The text of a uuid."""
    return urlsafe_b64encode(value).decode().rstrip("=")


def uuid_bytes(text: str) -> bytes:
    """The uuid of a text. Raises ValueError."""
    value = urlsafe_b64decode(text + "==")
    if len(value) != UUID_BYTES:
        raise ValueError(f"{text!r} is no uuid")
    return value

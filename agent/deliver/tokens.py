"""A forge's token: held so that it does not show, and taken out of every text that a forge or git hands back."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import cast
from urllib.parse import quote

from fixbot.agent.errors import ForgeError
from fixbot.agent.report.text import line
from fixbot.patchers.model.keys import Key

USERS = ("x-access-token", "oauth2")
MASK = "***"
_SHOWN = 300  # characters of a forge's own words


def token(text: str) -> Key:
    """A token as it is configured. Raises ForgeError where it is none: empty, or with characters that no header holds."""
    key = Key(text)
    if not re.fullmatch(r"[\x21-\x7e]+", key.reveal()):
        raise ForgeError("the forge's token is empty or has spaces, control or non-ASCII characters in it", "set it again, as one word")
    return key


def basic(user: str, key: Key) -> str:
    """The value of an Authorization header for git over HTTP."""
    return "Basic " + base64.b64encode(f"{user}:{key.reveal()}".encode()).decode()


def forms(secret: str) -> tuple[str, ...]:
    """The ways in which a token may be written, longest first."""
    pairs = (secret, *(f"{user}:{secret}" for user in USERS))
    encoded = (base64.b64encode(pair.encode()).decode().rstrip("=") for pair in pairs)
    return tuple(sorted({secret, quote(secret, safe=""), *encoded} - {""}, key=len, reverse=True))


def in_header(header: str) -> tuple[str, ...]:
    """The forms of the token in an Authorization header's value."""
    credentials = header.partition(" ")[2]
    with suppress(binascii.Error, UnicodeDecodeError):
        return tuple({*forms(base64.b64decode(credentials, validate=True).decode().partition(":")[2]), credentials.rstrip("=")})
    return forms(credentials)


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def masked(data: object, secrets: Sequence[str], depth: int = 16) -> object:
    """Decoded JSON without any of the secrets in its texts and names, and without what is nested deeper than ``depth``."""
    if isinstance(data, str):
        return mask(data, secrets)
    if not isinstance(data, dict | list):
        return data
    if depth == 0:
        return None
    if isinstance(data, list):
        return [masked(value, secrets, depth - 1) for value in cast("list[object]", data)]
    return {mask(str(name), secrets): masked(value, secrets, depth - 1) for name, value in cast("dict[object, object]", data).items()}


def told(text: object, secrets: Iterable[str]) -> str:
    """What a forge said, fit to be shown: masked, harmless, on one line, cut."""
    shown = line(mask(str(text), secrets)).strip()
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."

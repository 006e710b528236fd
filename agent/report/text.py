"""Text of the target repository on its way to a terminal, a log or a document: harmless, and in one line where one line is meant."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t")


def clean(text: str) -> str:
    """Text without control, format (bidirectional, zero width, tags) and surrogate characters: each shows as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if sign in _KEPT or not _is_hidden(sign) else ascii(sign)[1:-1] for sign in text)


def line(text: str) -> str:
    """The same on one line."""
    return clean(text).replace("\n", "\\n").replace("\t", " ")


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")

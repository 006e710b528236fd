"""Text of the target repository on its way to a terminal, a log or a document: harmless, and in one line where one line is meant."""

from __future__ import annotations

import re
import unicodedata

_KEPT = frozenset("\n\t")
_ACTING = re.compile(r"[@#!&%~$](?=\w)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)|\bmailto(?=:)")
"""Where GitHub and GitLab see mentions, references to issues, merge requests, labels, milestones, snippets, and links."""


def clean(text: str) -> str:
    """Text without control, format (bidirectional, zero width, tags) and surrogate characters: each shows as its escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign if sign in _KEPT or not _is_hidden(sign) else ascii(sign)[1:-1] for sign in text)


def line(text: str) -> str:
    """The same on one line."""
    return clean(text).replace("\n", "\\n").replace("\t", " ")


def harmless(text: str) -> str:
    """Text on its way to a forge, which then mentions nobody, refers to nothing and closes nothing: an invisible space takes the effect.

    For one line of plain text, or Markdown that is already escaped; a forge looks for these in what it has rendered.
    """
    return _ACTING.sub(lambda found: found[0] + "\u200b", text)


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")

"""Text of the target repository on its way to a terminal, a log or a document: harmless, and in one line where one line is meant."""

from __future__ import annotations

import re
import unicodedata

_KEPT = frozenset("\n\t")
_ACTING = re.compile(r"[@#!&%~$](?=\w)|\bGH-(?=\d)|:(?=//)|\bwww(?=\.)|\bmailto(?=:)")
"""Where GitHub and GitLab see mentions, references to issues, merge requests, labels, milestones, snippets, and links."""
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0\U000e0100-\U000e01ef]")
"""Letters and marks that show nothing; the selectors that emoji need are not among them."""
_COMMAND = re.compile("(?m)^((?:[^\\S\n]|[\ufe00-\ufe0f])*):(?=[\ufe00-\ufe0f]*:)")
_OLD_COMMAND = re.compile("#([\ufe00-\ufe0f]*)#(?=[\ufe00-\ufe0f]*\\[)")


def clean(text: str) -> str:
    """Text without control, format (bidirectional, zero width, tags), blank and surrogate characters: each shows as its escape."""
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


def inert(text: str, colon: str = "\\x3a", sharp: str = "\\x23") -> str:
    """Text of which no line is a workflow command to a GitHub runner that reads it in a log: ``::name::`` or ``##[name]``.

    The runner looks for the first at the start of a line, after white space, and for the second anywhere. ``colon`` and ``sharp`` take
    the place of the first and the second sign.
    """
    if "##[" not in text and "::" not in text and text.isascii():
        return text
    return _OLD_COMMAND.sub(lambda found: f"#{found[1]}{sharp}", _COMMAND.sub(lambda found: f"{found[1]}{colon}", text))


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 finding``, ``2 findings``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def _is_hidden(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") or _BLANK.match(sign) is not None

"""Reading what a hostile command writes, in bounded memory, and making it safe to show."""

from __future__ import annotations

import re
from collections.abc import Iterator

LONGEST_EVENT = 1024 * 1024

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC, within one line
    r"|\x9b[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 and C1 but tab and newline, bidi marks, line separators, surrogates, tag characters
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")


def clean(text: str) -> str:
    """The text without escape sequences, control characters (newlines and tabs stay) and characters that reorder or hide text."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


class HeadTail:
    """The first and the last bytes of a stream of any length."""

    def __init__(self, size: int) -> None:
        """Keep about ``size`` bytes, half of them from the start."""
        self._half = max(size // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self._seen = 0

    def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        self._seen += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        del self._tail[: -self._half]

    def text(self) -> str:
        """What was kept, decoded and cleaned, with a line in between that says how much was left out."""
        missing = self._seen - len(self._head) - len(self._tail)
        parts = (bytes(self._head), bytes(self._tail)) if missing else (bytes(self._head + self._tail),)
        return f"\n[... {missing} bytes left out ...]\n".join(clean(part.decode("utf-8", "replace")) for part in parts)


class Lines:
    """Splits a stream into lines without their newline; a line over ``LONGEST_EVENT`` is dropped, and so is an unfinished last one."""

    def __init__(self) -> None:
        """Start at the beginning of a line."""
        self._rest = bytearray()
        self._dropping = False
        self.seen = 0  # bytes so far

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that these bytes complete."""
        self.seen += len(data)
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._take(end)
            if not self._dropping:
                yield bytes(self._rest)
            self._rest.clear()
            self._dropping = False
        self._take(rest)

    def _take(self, piece: bytes) -> None:
        self._dropping = self._dropping or len(self._rest) + len(piece) > LONGEST_EVENT
        if self._dropping:
            self._rest.clear()
        else:
            self._rest += piece

"""Which lines a diff of git changes."""

from __future__ import annotations

import re

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb'\\([abtnvfr"\\]|[0-7]{3})')
_ESCAPED = dict(zip(b'abtnvfr"\\', b'\a\b\t\n\v\f\r"\\', strict=True))


def hunks(patch: bytes) -> dict[bytes, list[tuple[int, int]]]:
    """Ranges of the new side by path, from a diff without context lines."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    name = b""
    lines = iter(patch.split(b"\n"))
    for line in lines:
        if line.startswith(b"+++ "):
            name = _unquote(line[4:]).removeprefix(b"b/")
        elif head := _HUNK.match(line):
            removed, start, added = int(head[1] or 1), int(head[2]), int(head[3] or 1)
            found.setdefault(name, []).append((start, start + added - 1) if added else (max(start, 1), start + 1))
            left = removed + added
            while left:  # content may look like a header
                left -= not next(lines, b"").startswith(b"\\")
    return found


def _unquote(name: bytes) -> bytes:
    if not name.startswith(b'"'):
        return name.removesuffix(b"\t")
    return _ESCAPE.sub(lambda found: bytes([_ESCAPED.get(found[1][0]) or int(found[1], 8)]), name[1 : name.rindex(b'"')])

"""Find the lines that a model quotes in a file, and turn its replacements into edits.

Three tries, the first with a hit counts: the same lines; the same but for space at line ends; the same but for indentation, which the
replacement then follows. A hit must be the only one. There is no guessing by likeness: what cannot be found goes back to the model with
the nearest lines.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.patchers.difference import edits_between
from fixbot.patchers.model.reply import EditError, Replacement
from fixbot.patchers.patch import Edit

_SHOWN = 12  # lines shown around the nearest place
_COMPARED = 5000  # windows compared to find it
_WINDOW, _LONG = 20, 100  # lines of a window, characters of a line


@dataclass(frozen=True, slots=True)
class _Hit:
    """Lines ``start`` (0-based) to ``end`` of the file, and what they become."""

    start: int
    end: int
    lines: tuple[str, ...]


def make_edits(replacements: Iterable[Replacement], files: Mapping[str, bytes]) -> tuple[Edit, ...]:
    """The edits of all replacements, each counted in the files as they are. Raises EditError, whose text tells the model what to mend."""
    by_path: dict[str, list[Replacement]] = {}
    for one in replacements:
        if one.path not in files:
            shown = ", ".join(f"`{path}`" for path in sorted(files))
            raise EditError(f"{one.path[:200]!a} is not a file that may be changed here; these are: {shown}")
        by_path.setdefault(one.path, []).append(one)
    edits: list[Edit] = []
    for path, ones in by_path.items():
        edits += edits_between(path, files[path], _replace(path, files[path], ones))
    if not edits:
        raise EditError("the edits change nothing")
    return tuple(edits)


def _replace(path: str, data: bytes, replacements: Sequence[Replacement]) -> bytes:
    source = SourceFile(path, data)
    try:
        text = source.text
        encoding = source.encoding
    except SkippedFile as reason:
        raise EditError(f"{path} cannot be edited: {reason}") from None
    if text.encode(encoding) != data:
        raise EditError(f"{path} cannot be edited: its encoding, {encoding}, does not give the same bytes again")
    kept = re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)
    lines = [line.rstrip("\r\n") for line in kept]
    end = _line_end(kept)
    unfinished = bool(kept) and kept[-1] == lines[-1]
    if unfinished:
        kept[-1] += end
    hits = sorted((part for one in replacements for part in _parts(lines, _find(path, lines, one))), key=lambda hit: (hit.start, hit.end))
    for one, other in pairwise(hits):
        if other.start < one.end or (other.start == other.end == one.start == one.end):
            raise EditError(f"{path}: two edits change the same line {other.start + 1}; make them one")
    for hit in reversed(hits):
        ends = [row[len(row.rstrip("\r\n")) :] for row in kept[hit.start : hit.end]]
        kept[hit.start : hit.end] = [f"{line}{own}" for line, own in zip_longest(hit.lines, ends[: len(hit.lines)], fillvalue=end)]
    new = "".join(kept)
    if unfinished:
        new = re.sub(r"(?:\r\n|\r|\n)\Z", "", new)
    try:
        return new.encode(encoding)
    except UnicodeEncodeError:
        raise EditError(f"{path} is in {encoding}, which cannot hold a character of the edit") from None


def _parts(lines: Sequence[str], hit: _Hit) -> Iterator[_Hit]:
    """The runs of lines that really change; all others keep their bytes, space at line ends included."""
    old, new = [_bare(line) for line in lines[hit.start : hit.end]], [_bare(line) for line in hit.lines]
    for kind, first, last, new_first, new_last in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            changed = hit.lines[new_first:new_last]
            if first < last and changed and lines[hit.start + first][:1] == "\f" != changed[0][:1]:  # the page mark stays
                changed = (f"\f{changed[0]}", *changed[1:])
            yield _Hit(hit.start + first, hit.start + last, changed)


def _bare(line: str) -> str:
    """A line without what a model cannot be expected to copy: space at its end, a page mark at its beginning."""
    return line.lstrip("\f").rstrip()


def _line_end(kept: Sequence[str]) -> str:
    """The file's prevailing line end."""
    ends = Counter(line[len(line.rstrip("\r\n")) :] for line in kept)
    return max(("\n", "\r\n", "\r"), key=lambda end: ends[end])


def _find(path: str, lines: Sequence[str], one: Replacement) -> _Hit:
    search, replace = _trimmed(one.search.split("\n")), one.replace.split("\n") if one.replace else []
    replace = _aligned(one.search.split("\n"), search, replace)
    exact = _places(lines, search, str)
    places = exact or _places(lines, search, _bare)
    if places:
        return _Hit(_only(path, places, lines), places[0] + len(search), tuple(replace))
    places = [start for start in _places(lines, search, str.strip) if _indentation(lines[start : start + len(search)], search) is not None]
    if not places:
        raise EditError(f"{path}: the quoted lines are not in the file.{_nearest(lines, search)}")
    start = _only(path, places, lines)
    shift = _indentation(lines[start : start + len(search)], search) or {}
    return _Hit(start, start + len(search), tuple(_shifted(path, line, shift) for line in replace))


def _trimmed(lines: list[str]) -> list[str]:
    """Without the blank lines at both ends."""
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    last = next((index for index in range(len(lines), 0, -1) if lines[index - 1].strip()), len(lines))
    return lines[first:last]


def _aligned(whole: list[str], search: list[str], replace: list[str]) -> list[str]:
    """The replacement without those blank lines at its ends that were cut off the search text."""
    before = next((index for index, line in enumerate(whole) if line.strip()), 0)
    after = len(whole) - before - len(search)
    while before and replace and not replace[0].strip():
        replace, before = replace[1:], before - 1
    while after and replace and not replace[-1].strip():
        replace, after = replace[:-1], after - 1
    return replace


def _places(lines: Sequence[str], search: Sequence[str], form: Callable[[str], str]) -> list[int]:
    """Where the search lines stand, compared in a form. Linear for the first line, then line by line."""
    wanted = [form(line) for line in search]
    have = [form(line) for line in lines]
    return [
        start for start in range(len(have) - len(wanted) + 1) if have[start] == wanted[0] and have[start : start + len(wanted)] == wanted
    ]


def _only(path: str, places: Sequence[int], lines: Sequence[str]) -> int:
    if len(places) > 1:
        where = ", ".join(str(place + 1) for place in places[:5])
        raise EditError(f"{path}: the quoted lines occur {len(places)} times (lines {where}); quote more of the lines around them")
    return places[0]


def _indentation(have: Sequence[str], search: Sequence[str]) -> dict[str, str] | None:
    """The file's indentation for each one of the search text; None when one of these stands for two of those."""
    known: dict[str, str] = {}
    for mine, theirs in zip(have, search, strict=True):
        if mine.strip() and known.setdefault(_indent(theirs), _indent(mine)) != _indent(mine):
            return None
    return known


def _indent(line: str) -> str:
    line = line.lstrip("\f")
    return line[: len(line) - len(line.lstrip())]


def _shifted(path: str, line: str, known: Mapping[str, str]) -> str:
    """A line of the replacement in the file's indentation; deeper levels than the search text has go on from its deepest."""
    if not line.strip():
        return ""
    indent = _indent(line)
    if indent in known:
        return known[indent] + line.lstrip()
    base = max((one for one in known if indent.startswith(one)), key=len, default=None)
    if base is None:
        raise EditError(f"{path}: the replacement is indented less than the quoted lines; quote the lines as they stand in the file")
    deeper = indent[len(base) :]
    if "\t" in known[base] or (not known[base] and any("\t" in one for one in known.values())):
        deeper = "\t" * max(1, len(deeper.replace("\t", "    ")) // 4)
    elif "\t" in deeper and any(known.values()):
        deeper = deeper.replace("\t", "    ")
    return known[base] + deeper + line.lstrip()


def _nearest(lines: Sequence[str], search: Sequence[str]) -> str:
    """The lines most like the quoted ones, to show."""
    size = min(len(search), _WINDOW)
    wanted = "\n".join(line.strip()[:_LONG] for line in search[:size])
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    best, place = 0.0, 0
    for start in range(min(len(lines), _COMPARED)):
        matcher.set_seq1("\n".join(line.strip()[:_LONG] for line in lines[start : start + size]))
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
            best, place = matcher.ratio(), start
    if best < 0.5:
        return ""
    first, last = max(0, place - 2), min(len(lines), place + min(size, _SHOWN) + 2)
    rows = "\n".join(f"{number + 1:5}| {lines[number][:300]}" for number in range(first, last))
    return f" The nearest lines are:\n{rows}"

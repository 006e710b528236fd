"""Requirements as tools write them: lines of requirement files, Poetry's versions, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.utils import canonicalize_name

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared distribution: normalised name, version specifier (PEP 440, ``""`` for any) and normalised extras."""

    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()


def declarations(lines: Iterable[object]) -> Iterator[Declaration]:
    """What requirement lines declare; anything that is no text is left out."""
    from packaging.requirements import InvalidRequirement, Requirement  # a parser of its own, which projects without them need not load

    for line in lines:
        if not isinstance(line, str):
            continue
        text = line.strip()
        try:
            one = Requirement(text.partition(" --")[0])
            yield Declaration(canonicalize_name(one.name), str(one.specifier), tuple(sorted(map(canonicalize_name, one.extras))))
        except InvalidRequirement:
            yield from _by_address(text)


def _by_address(text: str) -> Iterator[Declaration]:
    """A requirement that is a URL, a path or of a form that only its tool knows: the name as far as it can be read off."""
    if match := re.search(r"#egg=([\w.-]+)", text):
        yield Declaration(canonicalize_name(match[1]))
    elif re.match(r"[a-z+]+://|git\+|\.{0,2}/|file:|\.", text):
        last = re.split(r"[@#?]", text.rstrip("/").rpartition("/")[2])[0].removesuffix(".git")
        yield from ([Declaration(canonicalize_name(re.split(r"-\d", last)[0]))] if last.strip(".") else [Declaration(".")])
    elif match := _NAME.match(text):
        yield Declaration(
            canonicalize_name(match[1]), "", tuple(canonicalize_name(one.strip()) for one in (match[2] or "").split(",") if one)
        )


def poetry_specifier(version: object) -> str:
    """Poetry's ``^1.2``, ``~1.2``, ``1.2`` as PEP 440; ``""`` for any version and for what has no equal."""
    parts: list[str] = []
    for one in str(version).split(",") if isinstance(version, str) else ():
        match = re.fullmatch(r"\s*(\^|~(?!=)|[<>=!~]*)\s*v?([\w.*+!-]+)\s*", one)
        if match is None or match[2] == "*":
            return ""
        sign, number = match[1], match[2]
        if sign in ("^", "~"):
            release = [int(part) for part in re.findall(r"\d+", number)[:3]] or [0]
            fixed = (
                next((index for index, part in enumerate(release) if part), len(release) - 1) if sign == "^" else min(1, len(release) - 1)
            )
            parts += [f">={number}", "<" + ".".join(map(str, [*release[:fixed], release[fixed] + 1]))]
        else:
            parts.append((sign if sign not in ("", "=") else "==") + number)
    return ",".join(parts)

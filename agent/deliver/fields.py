"""Reading JSON that a forge sent: fields that are missing, null or of another type count as empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast


def fields(data: object) -> Mapping[str, Any]:
    """A JSON object; empty where something else was sent."""
    return cast("Mapping[str, Any]", data) if isinstance(data, dict) else {}


def entries(data: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a JSON list; none where something else was sent."""
    for one in cast("list[object]", data) if isinstance(data, list) else ():
        if isinstance(one, dict):
            yield cast("Mapping[str, Any]", one)


def text(data: object, *names: str) -> str:
    """A text some objects deep; empty where there is none."""
    for name in names:
        data = fields(data).get(name)
    return data if isinstance(data, str) else ""


def number(data: object, name: str) -> int:
    """A whole number; 0 where there is none."""
    found = fields(data).get(name)
    return found if type(found) is int else 0


def named(data: object, listed: str, name: str) -> tuple[str, ...]:
    """One text of each object in a list."""
    return tuple(text(one, name) for one in entries(fields(data).get(listed)))

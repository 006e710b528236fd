"""Translates poetry's (and Pipfile's) way of writing requirements into standard ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from fixbot.agent.environments.files import Table, strings, table, text

_BARE = re.compile(r"v?\d[\w.!+*-]*")


def specifier(version: str) -> str | None:
    """A poetry version constraint as a standard specifier; None when it has no such form (alternatives with ``||``).

    ``^1.2`` is ``>=1.2,<2``, ``~1.2`` is ``>=1.2,<1.3``, ``1.2`` is ``==1.2``, ``*`` is ''.
    """
    if "|" in version:
        return None
    parts = [part for part in re.split(r"[,\s]+", re.sub(r"([<>=!~^])\s+", r"\1", version.strip())) if part]
    try:
        return str(SpecifierSet(",".join(_clause(part) for part in parts if part != "*")))
    except InvalidSpecifier:
        return None


def _clause(part: str) -> str:
    if part.startswith("~="):
        return part
    if part[0] in "^~":
        low = part[1:]
        numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", low)[0])] or [0]
        return f">={low},<{_upper(part[0], numbers)}"
    if part.startswith("=") and not part.startswith("=="):
        return "=" + part
    return f"=={part}" if _BARE.fullmatch(part) else part


def _upper(kind: str, numbers: list[int]) -> str:
    if kind == "~":
        position = 1 if len(numbers) > 1 else 0
    else:
        position = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:position], numbers[position] + 1])


def requirements(dependencies: Table, optional: bool = False) -> tuple[str, ...]:
    """The requirement lines of a poetry table; those marked optional only when asked for. ``python`` itself is left out."""
    return tuple(
        line
        for name, value in dependencies.items()
        if name.lower() != "python"
        for entry in (cast("list[object]", value) if isinstance(value, list) else [value])
        for line in _entry(name, entry, optional)
    )


def _entry(name: str, entry: object, optional: bool) -> Iterator[str]:
    if isinstance(entry, str):
        yield name + (specifier(entry) or "")
        return
    data = table(entry)
    if bool(data.get("optional")) and not optional:
        return
    for key in ("git", "path", "url", "file"):
        if key in data:
            yield f"{name} @ {text(data[key])}"
            return
    extras = strings(data.get("extras"))
    markers = [marker for marker in (text(data.get("markers")), _python_marker(text(data.get("python")))) if marker]
    line = name + (f"[{','.join(extras)}]" if extras else "") + (specifier(text(data.get("version"))) or "")
    yield line + (" ; " + " and ".join(f"({marker})" for marker in markers) if markers else "")


def _python_marker(version: str) -> str:
    translated = specifier(version) if version else ""
    return " and ".join(f'python_full_version {clause.operator} "{clause.version}"' for clause in SpecifierSet(translated or ""))


def python_specifier(poetry: Table) -> str:
    """The Python versions of a [tool.poetry] table as a standard specifier, or ''."""
    value = table(poetry, "dependencies").get("python")
    return specifier(text(value) or text(table(value).get("version"))) or ""


def extras(poetry: Table) -> dict[str, tuple[str, ...]]:
    """[tool.poetry.extras]: each names optional entries of the dependency table."""
    dependencies = table(poetry, "dependencies")
    return {
        extra: requirements({name: dependencies[name] for name in strings(names) if name in dependencies}, optional=True)
        for extra, names in table(poetry, "extras").items()
    }


def groups(poetry: Table) -> dict[str, tuple[str, ...]]:
    """Dependency groups of poetry, old ([tool.poetry.dev-dependencies]) and new."""
    found = {name: requirements(table(value, "dependencies")) for name, value in table(poetry, "group").items()}
    old = requirements(table(poetry, "dev-dependencies"))
    return {**found, "dev": found.get("dev", ()) + old} if old else found

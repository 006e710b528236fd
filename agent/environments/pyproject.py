"""Reads pyproject.toml: the [project] table, dependency groups, and the tables of poetry, pdm, uv, hatch and setuptools."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import cast

from fixbot.agent.environments import poetry
from fixbot.agent.environments.files import Table, strings, table, text
from fixbot.agent.environments.part import Part

Lines = dict[str, tuple[str, ...]]


def read(data: Table) -> Part | None:
    """The project that a pyproject.toml declares; None when it only configures tools."""
    project, old = table(data, "project"), table(data, "tool", "poetry")
    groups = _groups(data)
    roots = tuple(_roots(data))
    if not project and not old and not groups and not roots:
        return None
    return Part(
        name=text(project.get("name")) or text(old.get("name")),
        version=text(project.get("version")) or text(old.get("version")),
        python=text(project.get("requires-python")) or poetry.python_specifier(old),
        core=strings(project.get("dependencies")) + poetry.requirements(table(old, "dependencies")),
        extras={**_lists(table(project, "optional-dependencies")), **poetry.extras(old)},
        groups={**poetry.groups(old), **groups},
        entry_points=_entry_points(project, old),
        roots=roots,
    )


def _lists(found: Table) -> Lines:
    return {name: strings(value) for name, value in found.items()}


def _groups(data: Table) -> Lines:
    declared = table(data, "dependency-groups")
    groups = {name: tuple(_group(declared, name, frozenset())) for name in declared}
    tools = table(data, "tool")
    extra = strings(table(tools, "uv").get("dev-dependencies"))
    if extra:
        groups["dev"] = groups.get("dev", ()) + extra
    for name, value in table(tools, "pdm", "dev-dependencies").items():
        groups[name] = groups.get(name, ()) + strings(value)
    for name, value in table(tools, "hatch", "envs").items():
        wanted = strings(table(value).get("dependencies")) + strings(table(value).get("extra-dependencies"))
        if wanted:
            group = "test" if name in {"default", "hatch-test"} else name
            groups[group] = groups.get(group, ()) + wanted
    return groups


def _group(declared: Table, name: str, above: frozenset[str]) -> Iterator[str]:
    value = declared.get(name)
    if name in above or not isinstance(value, list):
        return
    for item in cast("list[object]", value):
        if isinstance(item, str):
            yield item
        elif included := text(table(item).get("include-group")):
            yield from _group(declared, included, above | {name})


def _entry_points(project: Table, old: Table) -> Mapping[str, Mapping[str, str]]:
    groups: dict[str, dict[str, str]] = {}
    for group, found in (("console_scripts", project.get("scripts")), ("gui_scripts", project.get("gui-scripts"))):
        groups.setdefault(group, {}).update(_texts(table(found)))
    groups["console_scripts"].update(_texts(table(old, "scripts")))
    for source in (table(project, "entry-points"), table(old, "plugins")):
        for group, found in source.items():
            groups.setdefault(group, {}).update(_texts(table(found)))
    return {group: entries for group, entries in groups.items() if entries}


def _texts(found: Table) -> dict[str, str]:
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _roots(data: Table) -> Iterator[str]:
    tools = table(data, "tool")
    setuptools = table(tools, "setuptools")
    yield from package_dirs(_texts(table(setuptools, "package-dir")))
    yield from strings(table(setuptools, "packages", "find").get("where"))
    for package in _tables(table(tools, "poetry").get("packages")):
        if isinstance(package.get("from"), str):
            yield text(package["from"])
    wheel = table(tools, "hatch", "build", "targets", "wheel")
    yield from (os.path.dirname(path) or "." for path in strings(wheel.get("packages")))
    yield from strings(wheel.get("sources"))
    yield from strings(table(tools, "pdm", "build").get("package-dir"))
    yield from strings(table(tools, "uv", "build-backend").get("module-root"))


def package_dirs(mapping: Mapping[str, str]) -> Iterator[str]:
    """Import roots of a setuptools ``package_dir``: ``{"": "lib"}`` gives lib, ``{"pkg": "lib/pkg"}`` gives lib."""
    for package, folder in mapping.items():
        path = folder.rstrip("/")
        parent, last = os.path.split(path)
        if not package:
            yield path or "."
        elif last == package:
            yield parent or "."


def _tables(value: object) -> list[Table]:
    return [cast("Table", item) for item in cast("list[object]", value) if isinstance(item, dict)] if isinstance(value, list) else []


def dynamic_files(data: Table) -> tuple[list[str], list[str]]:
    """Requirement files that setuptools reads for dynamic dependencies: (of the project, of its extras)."""
    dynamic = table(data, "tool", "setuptools", "dynamic")
    extras = table(dynamic, "optional-dependencies")
    return (
        list(strings(table(dynamic, "dependencies").get("file"))),
        [path for value in extras.values() for path in strings(table(value).get("file"))],
    )


def pytest_paths(data: Table) -> tuple[str, ...]:
    """``pythonpath`` of pytest's settings in pyproject.toml."""
    settings = table(data, "tool", "pytest")
    value = table(settings, "ini_options").get("pythonpath", settings.get("pythonpath"))
    return tuple(value.split()) if isinstance(value, str) else strings(value)

"""Reads setup.cfg, setup.py (as a syntax tree, never run) and tox.ini."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from fixbot.agent.environments.files import join, lines, read_ini, read_text, strings
from fixbot.agent.environments.part import Part
from fixbot.agent.environments.pyproject import package_dirs


def read_cfg(tree: Path, folder: str) -> Part | None:
    """The project that a setup.cfg declares; None when it only configures tools."""
    data = read_ini(tree, join(folder, "setup.cfg"))
    metadata, options = data.get("metadata", {}), data.get("options", {})
    if not metadata.get("name") and not any(section.split(".")[0] == "options" for section in data):
        return None
    where = data.get("options.packages.find", {}).get("where", "")
    return Part(
        name=metadata.get("name", "").strip(),
        version=metadata.get("version", "").strip(),
        python=options.get("python_requires", "").strip(),
        core=lines(options.get("install_requires", "")),
        extras={name: lines(value) for name, value in data.get("options.extras_require", {}).items()},
        groups={"test": lines(options.get("tests_require", ""))},
        entry_points={group: _pairs(lines(value)) for group, value in data.get("options.entry_points", {}).items()},
        roots=(*package_dirs(_pairs(lines(options.get("package_dir", "")))), *([where.strip()] if where.strip() else [])),
    )


def _pairs(found: tuple[str, ...]) -> dict[str, str]:
    split = (line.partition("=") for line in found)
    return {name.strip(): value.strip() for name, equals, value in split if equals}


def read_py(tree: Path, folder: str) -> Part | None:
    """The literal arguments of the ``setup(...)`` call in a setup.py; None when there is no such call."""
    try:
        module = ast.parse(read_text(tree, join(folder, "setup.py")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
    call = next((node for node in calls if _called(node) in {"setup", "setuptools.setup"}), None)
    if call is None:
        return None
    names = _module_names(module)
    given = {keyword.arg: _literal(keyword.value, names) for keyword in call.keywords if keyword.arg}
    packages = next((keyword.value for keyword in call.keywords if keyword.arg == "packages"), None)
    return Part(
        name=_one(given.get("name")),
        version=_one(given.get("version")),
        python=_one(given.get("python_requires")),
        core=_lines(given.get("install_requires")),
        extras={name: _lines(value) for name, value in _mapping(given.get("extras_require")).items()},
        groups={"test": _lines(given.get("tests_require"))},
        entry_points={group: _pairs(_lines(value)) for group, value in _mapping(given.get("entry_points")).items()},
        roots=(
            *package_dirs({name: value for name, value in _mapping(given.get("package_dir")).items() if isinstance(value, str)}),
            *_find_packages(packages, names),
        ),
    )


def _called(node: ast.Call) -> str:
    return ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""


def _module_names(module: ast.Module) -> dict[str, ast.expr]:
    assigned = (node for node in module.body if isinstance(node, ast.Assign))
    return {target.id: node.value for node in assigned for target in node.targets if isinstance(target, ast.Name)}


def _literal(node: ast.expr, names: Mapping[str, ast.expr]) -> object:
    if isinstance(node, ast.Name):
        node = names.get(node.id, node)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {key.value: _literal(value, names) for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    try:
        return cast("object", ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None


def _one(value: object) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _lines(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return lines(value)
    return strings(list(cast("tuple[object, ...]", value)) if isinstance(value, list | tuple | set) else [])


def _find_packages(node: ast.expr | None, names: Mapping[str, ast.expr]) -> Iterator[str]:
    if isinstance(node, ast.Call) and _called(node).endswith(("find_packages", "find_namespace_packages")):
        places = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "where")]
        yield from (found for found in (_one(_literal(place, names)) for place in places) if found)


def tox_lines(tree: Path, folder: str) -> Iterator[str]:
    """Lines of ``deps`` of every test environment of a tox.ini, without their ``py310:`` factors; ones with substitutions are left out."""
    for section, options in read_ini(tree, join(folder, "tox.ini")).items():
        if not re.fullmatch(r"testenv(:(py\d*|tests?|unit)\b.*)?", section):
            continue
        for line in lines(options.get("deps", "")):
            requirement = re.sub(r"^[\w!{},.-]+:\s+", "", line)
            requirement = requirement.replace("{toxinidir}/", "").replace("{tox_root}/", "")
            if "{" not in requirement:
                yield requirement


def pytest_paths(tree: Path) -> Iterator[str]:
    """``pythonpath`` of pytest's settings in pytest.ini, tox.ini and setup.cfg."""
    for name, section in (("pytest.ini", "pytest"), (".pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        yield from read_ini(tree, name).get(section, {}).get("pythonpath", "").split()

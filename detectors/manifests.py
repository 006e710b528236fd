"""What requirement files say: one reader for each format. Nothing of the target is run; what cannot be read whole says so."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, cast

from packaging.utils import canonicalize_name

from fixbot.detectors.requirement_text import Declaration, declarations, poetry_specifier
from fixbot.detectors.source import dotted

_DEV = re.compile(r"(^|[-_.])(dev|devel|develop|development|tests?|testing|lint|linting|docs?|ci|typing|mypy|build|style|format|formatting|"
                  r"examples?|optional|extras?|constraints?|benchmarks?|tools|release|min|minimal|lowest)([-_.]|$)")  # fmt: skip
_INSTALL = re.compile(r"\b(?:pip3?|uv pip|micromamba|mamba|conda|apt-get|apt|apk)\s+(?:-\S+\s+)*(?:install|add)\s+([^&|;\n]+)")


class Format(StrEnum):
    """The kinds of files that declare distributions."""

    REQUIREMENTS = "requirements"
    PYPROJECT = "pyproject"
    SETUP_CFG = "setup.cfg"
    SETUP_PY = "setup.py"
    PIPFILE = "Pipfile"
    CONDA = "conda"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file that declares distributions.

    ``main`` says whether it names what the program needs to run (not only what tests or docs need), ``complete`` whether all that it
    declares could be read, ``includes`` the requirement files that it takes in, ``python`` the Python versions (PEP 440, ``""`` unknown),
    ``library`` whether it describes a package that others install.
    """

    path: str
    format: Format
    declarations: tuple[Declaration, ...] = ()
    main: bool = True
    complete: bool = True
    includes: tuple[str, ...] = ()
    python: str = ""
    library: bool = False


def format_of(path: str) -> Format | None:
    """The format that a file's name tells; None for a file that declares nothing."""
    folder, _, name = path.lower().rpartition("/")
    if name in ("pyproject.toml", "setup.cfg", "setup.py", "pipfile"):
        return {"pyproject.toml": Format.PYPROJECT, "pipfile": Format.PIPFILE}.get(name) or Format(name)
    if name.endswith((".txt", ".in")) and "constraints" not in name:
        listed = "requirements" in name or folder.rpartition("/")[2] in ("requirements", "reqs", "requires")
        return Format.REQUIREMENTS if listed else None
    if re.fullmatch(r"(conda[-_.]?)?(env|environment)[\w.-]*\.ya?ml|conda[\w.-]*\.ya?ml", name):
        return Format.CONDA
    return Format.SCRIPT if re.fullmatch(r"(dockerfile|containerfile)[\w.-]*|[\w.-]+\.dockerfile|makefile|[\w.-]+\.sh", name) else None


def read_manifest(path: str, data: bytes, kind: Format) -> Manifest | None:
    """What a file declares; None when it only configures tools."""
    text = data.decode("utf-8-sig", "replace")
    try:
        return _READERS[kind](path, text)
    except (tomllib.TOMLDecodeError, configparser.Error, SyntaxError, ValueError, RecursionError, MemoryError, AttributeError, TypeError):
        return Manifest(path, kind, complete=False)


# requirements.txt, shell commands, conda


def _requirements(path: str, text: str) -> Manifest:
    found: list[Declaration] = []
    includes: list[str] = []
    complete = True
    folder = PurePosixPath(path).parent
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#(?!egg=).*", "", line).strip()
        if match := re.match(r"(?:-r|--requirement)[\s=]*(\S+)", line):
            includes.append(_normal_path(folder / match[1]))
        elif match := re.match(r"(?:-e|--editable)[\s=]*(.+)", line):
            found += declarations([match[1]])
        elif line and not line.startswith("-"):
            one = list(declarations([line]))
            found += one
            complete = complete and bool(one)
    stem = PurePosixPath(path).stem.lower().replace("requirements", "").strip("-_.")
    main = not _DEV.search(stem) and not _DEV.search(folder.name.lower())
    return Manifest(path, Format.REQUIREMENTS, tuple(found), main, complete, tuple(includes))


def _normal_path(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _script(path: str, text: str) -> Manifest:
    commands = _INSTALL.findall(re.sub(r"\\\r?\n", " ", text))
    words = [re.sub(r"^(python3?|py3)-", "", word.strip("'\"")) for command in commands for word in command.split()]
    plain = [word for word in words if not word.startswith(("-", "$", ".", "/"))]
    for image in re.findall(r"^FROM\s+(?:--\S+\s+)*(\S+)", text, re.MULTILINE):
        plain += [name.replace("pytorch", "torch") for name in re.findall(r"[a-z]+", image)]
    return Manifest(path, Format.SCRIPT, tuple(declarations(plain)), main=False)


def _conda(path: str, text: str) -> Manifest:
    names = re.findall(r"^\s*-\s+['\"]?([A-Za-z][\w.-]*(?:\[[\w,-]+\])?)(?![\w:/.-])", text, re.MULTILINE)
    return Manifest(path, Format.CONDA, tuple(declarations(names)))


# pyproject.toml, Pipfile


def _pyproject(path: str, text: str) -> Manifest | None:
    data = tomllib.loads(text)
    tool, project = _table(data, "tool"), _table(data, "project")
    poetry, flit, pixi = _table(tool, "poetry"), _table(tool, "flit", "metadata"), _table(tool, "pixi")
    found = [*declarations(project.get("dependencies", ())), *declarations(_flat(_table(project, "optional-dependencies")))]
    found += declarations(_flat(_table(data, "dependency-groups")))
    found += declarations([*_flat(_table(tool, "pdm", "dev-dependencies")), *_table(tool, "uv").get("dev-dependencies", ())])
    found += declarations([*flit.get("requires", ()), *_flat(_table(flit, "requires-extra"))])
    hatch = _tables(_table(tool, "hatch", "envs"))
    found += declarations(chain.from_iterable([*env.get("dependencies", ()), *env.get("extra-dependencies", ())] for env in hatch))
    for table in (poetry, *_tables(_table(poetry, "group")), pixi, *_tables(_table(pixi, "feature"))):
        for name in ("dependencies", "dev-dependencies", "pypi-dependencies"):
            found += _versions(_table(table, name))
    dynamic = set(project.get("dynamic", ()))
    files = [file for name in sorted(dynamic & {"dependencies", "optional-dependencies"}) for file in _dynamic_files(tool, name)]
    folder = PurePosixPath(path).parent
    declares = not {"dependencies"}.isdisjoint([*project, *dynamic, *poetry]) or "requires" in flit or bool(_table(pixi, "dependencies"))
    named = (
        bool((project.get("name") or poetry.get("name") or flit) and data.get("build-system")) and poetry.get("package-mode") is not False
    )
    python = (
        project.get("requires-python")
        or poetry_specifier(_table(poetry, "dependencies").get("python", ""))
        or flit.get("requires-python", "")
    )
    if not declares and not found:
        return None
    complete = not ("dependencies" in dynamic and not files)
    includes = tuple(_normal_path(folder / file) for file in files)
    return Manifest(path, Format.PYPROJECT, tuple(found), declares, complete, includes, python, named)


def _table(data: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    value: Any = data
    for name in names:
        value = cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _tables(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [_table(data, name) for name in data if isinstance(data[name], dict)]


def _flat(data: Mapping[str, Any]) -> list[object]:
    return [item for value in data.values() if isinstance(value, list) for item in cast("list[object]", value)]


def _dynamic_files(tool: Mapping[str, Any], name: str) -> list[str]:
    dynamic = _table(tool, "setuptools", "dynamic")
    entries = [dynamic.get(name)] if name == "dependencies" else list(_table(dynamic, name).values())
    files = [cast("dict[str, Any]", entry).get("file", ()) for entry in entries if isinstance(entry, dict)]
    return [file for one in files for file in ([one] if isinstance(one, str) else one)]


def _versions(table: Mapping[str, Any]) -> Iterator[Declaration]:
    """The tables of Poetry, Pipenv and pixi: name -> version, or -> table with version and extras."""
    for name, value in table.items():
        if name != "python":
            one = cast("dict[str, Any]", value) if isinstance(value, dict) else {"version": value}
            extras = tuple(sorted(canonicalize_name(str(extra)) for extra in one.get("extras", ())))
            yield Declaration(canonicalize_name(name), poetry_specifier(one.get("version", "")), extras)


def _pipfile(path: str, text: str) -> Manifest:
    data = tomllib.loads(text)
    version = _table(data, "requires").get("python_version", "")
    python = f"=={version}.*" if version else ""
    found = (*_versions(_table(data, "packages")), *_versions(_table(data, "dev-packages")))
    return Manifest(path, Format.PIPFILE, found, python=python)


# setup.cfg, setup.py


def _setup_cfg(path: str, text: str) -> Manifest | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    sections: dict[str, dict[str, str]] = {name: dict(parser.items(name)) for name in parser.sections()}
    options, extras = sections.get("options", {}), sections.get("options.extras_require", {})
    named = "name" in sections.get("metadata", {})
    if not named and not options:
        return None
    values = [options.get("install_requires", ""), options.get("tests_require", ""), options.get("setup_requires", ""), *extras.values()]
    lines = [line for value in values for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]
    files = re.findall(r"^\s*file:\s*(\S+)", "\n".join(values), re.MULTILINE)
    folder = PurePosixPath(path).parent
    return Manifest(
        path,
        Format.SETUP_CFG,
        tuple(declarations(line for line in lines if "file:" not in line and "%(" not in line)),
        main="install_requires" in options,
        includes=tuple(_normal_path(folder / file) for file in files),
        python=options.get("python_requires", "").strip(),
        library=named,
    )


_SETUP_LISTS = ("install_requires", "tests_require", "setup_requires")


def _setup_py(path: str, text: str) -> Manifest | None:
    module = ast.parse(text)
    calls = (node for node in ast.walk(module) if isinstance(node, ast.Call))
    call = next((node for node in calls if (dotted(node.func) or "").rpartition(".")[2] == "setup"), None)
    if call is None:
        return Manifest(path, Format.SETUP_PY, complete=False)
    names = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    given = {keyword.arg: _resolved(keyword.value, names) for keyword in call.keywords}
    complete = None not in given
    lines: list[object] = []
    for name in (*_SETUP_LISTS, "extras_require"):
        if name in given:
            value = _list(given[name], names)
            complete = complete and value is not None
            lines += value or []
    python = given.get("python_requires")
    version = python.value if isinstance(python, ast.Constant) and isinstance(python.value, str) else ""
    return Manifest(path, Format.SETUP_PY, tuple(declarations(lines)), "install_requires" in given, complete, (), version, library=True)


def _resolved(node: ast.expr, names: Mapping[str, ast.expr]) -> ast.expr:
    return names.get(node.id, node) if isinstance(node, ast.Name) else node


def _list(node: ast.expr, names: Mapping[str, ast.expr]) -> list[object] | None:
    """The texts of a list, a sum of lists or the lists of a dictionary; None when something in it is not literal."""
    node = _resolved(node, names)
    parts: list[ast.expr] = []
    match node:
        case ast.Constant(value=str(text)):
            return list(text.splitlines())
        case ast.List() | ast.Tuple() | ast.Set():
            parts = node.elts
        case ast.Dict():
            parts = node.values
        case ast.BinOp(op=ast.Add()):
            parts = [node.left, node.right]
        case _:
            return None
    inner = [_list(part, names) for part in parts]
    return None if None in inner else [text for one in inner if one for text in one]


_READERS = {
    Format.REQUIREMENTS: _requirements,
    Format.SCRIPT: _script,
    Format.CONDA: _conda,
    Format.PYPROJECT: _pyproject,
    Format.PIPFILE: _pipfile,
    Format.SETUP_CFG: _setup_cfg,
    Format.SETUP_PY: _setup_py,
}

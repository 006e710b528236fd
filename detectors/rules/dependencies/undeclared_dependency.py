"""A package is imported that no requirement file declares."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import canonicalize_name

from fixbot.detectors.declared import Declared, declared_for
from fixbot.detectors.facts import catches_import_error, imports
from fixbot.detectors.finding import CODEMOD, NO_FIX, Fix, Related, Severity, Span
from fixbot.detectors.knowledge import table
from fixbot.detectors.manifests import Format, Manifest
from fixbot.detectors.project import Project, folders_above, is_test, join
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile, dotted

_APART = frozenset(["docs", "doc", "examples", "example", "benchmarks", "samples", "demo", "demos", "notebooks", "typings"])
_TOOLS = frozenset(["setup.py", "noxfile.py", "fabfile.py", "dodo.py", "locustfile.py", "hatch_build.py"])
_LOGGING = frozenset(["log", "logger", "logging", "_log", "_logger", "LOG", "LOGGER", "warnings", "print", "console"])
_LOCKS = {
    "uv.lock": "uv add",
    "poetry.lock": "poetry add",
    "pdm.lock": "pdm add",
    "Pipfile.lock": "pipenv install",
    "pixi.lock": "pixi add --pypi",
}


def optional_imports(source: SourceFile) -> dict[str, str]:
    """Line -> what happens when an import inside a ``try`` fails, and ``"*"`` where the file as a whole is no case for this rule.

    ``other`` the import itself is what a handler falls back to, ``replaced`` a handler gives a real replacement, ``raises``, ``silent``.
    """
    if b"import" not in source.data:
        return {}
    found: dict[str, str] = {"*": "script"} if b"# /// script" in source.data else {}
    if b"lambda_handler" in source.data:
        found["*"] = "lambda"
    if b"except" in source.data or b"suppress" in source.data:
        known = {name.partition(".")[0] for name in table("distributions")["distributions"]}
        for node in source.import_statements:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(name.partition(".")[0] in known for name in names) and (kind := _kind(node, source)):
                found[str(node.lineno)] = kind
    return found


def _kind(node: ast.stmt, source: SourceFile) -> str:
    inner: ast.AST = node
    for outer in source.ancestors(node):
        if isinstance(outer, ast.ExceptHandler) and catches_import_error(outer):
            return "other"
        if isinstance(outer, ast.Try) and (inner in outer.body or inner in outer.orelse):
            handlers = [handler for handler in outer.handlers if catches_import_error(handler)]
            if handlers:
                return _outcome(handlers[0].body)
        if isinstance(outer, ast.With) and any("suppress" in ast.unparse(item.context_expr) for item in outer.items):
            return "silent"
        inner = outer
    return ""


def _outcome(body: Sequence[ast.stmt]) -> str:
    outcomes = {_statement(node) for node in body}
    return next((one for one in ("replaced", "raises") if one in outcomes), "silent")


def _statement(node: ast.stmt) -> str:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return "replaced"
        case ast.Raise():
            return "raises"
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.Return(value=ast.expr() as value):
            return "silent" if _empty(value) else "replaced"
        case ast.Expr(value=ast.Call(func=called)):
            name = dotted(called) or ""
            return "raises" if name.endswith("exit") else "silent" if _LOGGING.intersection(name.split(".")) else "replaced"
        case ast.If() | ast.With() | ast.Try() | ast.For():
            return _outcome([*node.body, *getattr(node, "orelse", [])])
        case _:
            return "silent"


def _empty(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple | ast.List):
        return all(map(_empty, value.elts))
    return (isinstance(value, ast.Constant) and not value.value) or (isinstance(value, ast.Dict) and not value.keys)


@rule(severity=Severity.HIGH, fix=CODEMOD, collects=(imports, optional_imports))
def check(project: Project) -> Iterator[Report]:
    """One finding for each distribution and requirement file that lacks it, at the first import."""
    places: defaultdict[tuple[str, str], list[tuple[str, Mapping[str, Any], Severity]]] = defaultdict(list)
    declared: dict[str, Declared] = {}
    loaded = _loaded(project)
    for path, entries in sorted(project.collected(imports).items()):
        if _is_apart(path):
            continue
        optional: Mapping[str, str] = project.collected(optional_imports).get(path, {})
        for entry in entries:
            distribution = _undeclared(project, path, entry, optional)
            if distribution is None:
                continue
            here = declared_for(project, path)
            severity = _severity(entry, optional, here)
            if severity is not None and not (here.library and path not in loaded):
                target = _target(here)
                declared[target.path] = here
                places[distribution, target.path].append((path, entry, severity))
    for (distribution, file), found in places.items():
        yield _report(project, distribution, _target(declared[file]), found)


def _loaded(project: Project) -> set[str]:
    """The files that others import as they are imported themselves. A library's plug-in modules are not among them."""
    found: set[str] = set()
    for path, entries in project.collected(imports).items():
        if path.rpartition("/")[2] in ("__init__.py", "__main__.py") and "." not in project.module_name(path).removesuffix(".__main__"):
            found.add(path)
        for entry in entries if not is_test(path) else ():
            if not entry["guard"]:
                names = [name for name, _ in entry["names"] or ()]
                modules = [entry["module"], *(f"{entry['module']}.{name}".lstrip(".") for name in names)]
                found.update(file for module in modules if (file := project.resolve(module, path, entry["level"])))
    return found


def _is_apart(path: str) -> bool:
    *folders, name = path.split("/")
    return is_test(path) or name in _TOOLS or not _APART.isdisjoint(folders) or any(part.startswith(".") for part in folders)


def _undeclared(project: Project, path: str, entry: Mapping[str, Any], optional: Mapping[str, str]) -> str | None:
    """The distribution that an import needs and that nothing declares; None when all is well or it is not known."""
    top = entry["module"].partition(".")[0]
    if (
        entry["level"]
        or top in sys.stdlib_module_names
        or entry["guard"] in ("type-checking", "condition")
        or optional.get("*") == "script"
    ):
        return None
    known = _distributions(entry)
    if (
        not known
        or optional.get("*") == "script"
        or _is_own(project, top, path)
        or (optional.get("*") == "lambda" and top in ("boto3", "botocore"))
    ):
        return None
    here = declared_for(project, path)
    if not here.nearest or not here.complete or canonicalize_name(top) in here.names or any(map(here.brings, known)):
        return None
    return known[0]


def _distributions(entry: Mapping[str, Any]) -> Sequence[str]:
    known: Mapping[str, Sequence[str]] = table("distributions")["distributions"]
    module: str = entry["module"]
    for name, _ in entry["names"] or ():
        if f"{module}.{name}" in known:
            return known[f"{module}.{name}"]
    while module and module not in known:
        module = module.rpartition(".")[0]
    return known.get(module, ())


def _is_own(project: Project, top: str, path: str) -> bool:
    """Whether the project holds a module of that name, other than a stand-in among its tests."""
    found = project.resolve(top, path)
    if found is not None:
        return not is_test(found)
    return any(join(root, top) in project.folders and not is_test(join(root, "x.py")) for root in project.roots_for(path))


def _severity(entry: Mapping[str, Any], optional: Mapping[str, str], here: Declared) -> Severity | None:
    kind = optional.get(str(entry["span"][0]), "")
    if kind in ("other", "replaced") or (here.library and (kind or entry["guard"])):
        return None
    return Severity.LOW if kind == "silent" else Severity.MEDIUM if kind or entry["guard"] else Severity.HIGH


def _target(here: Declared) -> Manifest:
    """The file to which a distribution is to be added."""
    return min((one for one in here.nearest if one.main), key=_rank)


def _rank(one: Manifest) -> int:
    """How well a file suits a new declaration, best first."""
    if one.format is Format.PYPROJECT and not one.includes:
        return 0
    if one.format is Format.REQUIREMENTS:
        name = one.path.rpartition("/")[2]
        return {"requirements.in": 1, "requirements.txt": 2}.get(name, 3 if name.startswith(("base.", "main.", "common.")) else 4)
    return 5


def _report(project: Project, distribution: str, target: Manifest, found: Sequence[tuple[str, Mapping[str, Any], Severity]]) -> Report:
    path, entry, _ = found[0]
    severity = min((one[2] for one in found), key=lambda one: one.rank)
    fix, advice = _fix(project, distribution, target)
    quiet = severity is Severity.LOW
    result = "a fresh installation silently goes without it" if quiet else "a fresh installation raises ModuleNotFoundError"
    return report(
        Span(*entry["span"]),
        f"`{entry['module'] or distribution}` is imported, but {target.path} does not declare {distribution}: {result}{advice}",
        key=f"{distribution} {target.path}",
        path=path,
        related=[Related(other, one["span"][0], f"imports `{one['module']}`, too") for other, one, _ in found[1:6]],
        fix=fix,
        severity=severity,
        distribution=distribution,
        file=target.path,
        advice=advice,
    )


def _fix(project: Project, distribution: str, target: Manifest) -> tuple[Fix, str]:
    folders = list(folders_above(target.path))
    locks = [command for name, command in _LOCKS.items() if any(join(folder, name) in project.others for folder in folders)]
    if target.format in (Format.PYPROJECT, Format.PIPFILE) and locks:
        return NO_FIX, f" (`{locks[0]} {distribution}` adds it and renews the lock file)"
    if target.format is Format.REQUIREMENTS and b"--hash=" in project.read(target.path):
        return NO_FIX, " (the tool that wrote the hashes has to add it)"
    return (NO_FIX if target.format in (Format.SETUP_PY, Format.CONDA) else CODEMOD), ""

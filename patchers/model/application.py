"""The web application that a file belongs to: what begins, ends or is registered with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice

from fixbot.detectors.project import Project, folders_above, is_test
from fixbot.detectors.source import SkippedFile
from fixbot.detectors.walk import descendants
from fixbot.patchers.model.places import Excerpt, definitions, whole

_LIFE = re.compile(
    r"\b(?:lifespan|shut ?down|start-?up|never started|clos(?:ed?|es|ing)|leak(?:s|ed)?|(?:per|every|each) request"
    r"|(?:un|not|never|isn't) ?registered|unregistered[- ]\w+|routers?|blueprints?)\b",
    re.IGNORECASE,
)
_KINDS = frozenset({b"FastAPI", b"Flask", b"Litestar", b"Quart", b"Sanic", b"Starlette"})
_REGISTERED = 12  # calls of the application that are shown


def concerns(text: str) -> bool:
    """Whether what is said of a bug speaks of things that the application starts, ends or registers."""
    return bool(_LIFE.search(text))


def application(near: str, project: Project) -> Iterator[Excerpt]:
    """Where the application that a file belongs to is made, with its lifespan and imports: what belongs to it is named there."""
    above = set(folders_above(near))
    paths = [path for path in project.files if path.rpartition("/")[0] in above and not is_test(path)]
    for path in sorted(paths, key=lambda path: (path != near, -path.count("/"), path)):
        try:
            if not any(name in project.read(path) for name in _KINDS):
                continue
            source = project.source(path)
            made = list(_applications(source.tree))
        except (SkippedFile, OSError):
            continue
        if made:
            lifespans = {
                word.value.id for _, call in made for word in call.keywords if word.arg == "lifespan" and isinstance(word.value, ast.Name)
            }
            yield from (whole(path, statement, "the application") for statement, _ in made)
            yield from (whole(path, node, "the application") for name, node in definitions(source).items() if name in lifespans)
            yield from (whole(path, node, "the application") for node in islice(_registering(source.tree, made), _REGISTERED))
            if path != near:
                yield from (whole(path, node, "imports") for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom))
            return


def _applications(tree: ast.Module) -> Iterator[tuple[ast.stmt, ast.Call]]:
    """Assignments of a web application that is made there."""
    for node in descendants(tree):
        match node:
            case ast.Assign(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) as call) if name.encode() in _KINDS:
                yield node, call
            case _:
                pass


def _registering(tree: ast.Module, made: list[tuple[ast.stmt, ast.Call]]) -> Iterator[ast.stmt]:
    """Statements that only call a method of an application, as ``app.include_router(...)``."""
    names = {
        target.id
        for statement, _ in made
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for node in descendants(tree):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))) if name in names:
                yield node
            case _:
                pass

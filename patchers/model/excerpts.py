"""Which lines of a repository explain a finding, most telling first: its function, imports, what it uses, who calls it, the schema."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from fixbot.detectors.finding import Finding
from fixbot.detectors.project import Project, is_test
from fixbot.detectors.source import Function, SkippedFile, SourceFile
from fixbot.detectors.walk import descendants
from fixbot.patchers.model.application import application, concerns
from fixbot.patchers.model.broken import parses
from fixbot.patchers.model.places import LONG, Excerpt, definitions, fields, head, start, whole

_AROUND = 12  # lines before and after a finding that stands in no function
_NEAR = 20  # lines before and after the function: how the code around does such things
_CALLERS = 3
_METHOD = 30  # longer methods that are called are shown by their head
_RELATED = 6
_TABLE = re.compile(r"\b(?:from|into|update|join|table)\s+[\"`]?(\w+)", re.IGNORECASE)
_MAX_SQL = 512 * 1024
_ENVIRONMENT = re.compile(r"(?:^|/)\.?env\.(?:example|sample|template|dist)$")


def excerpts(finding: Finding, project: Project) -> Iterator[Excerpt]:
    """The excerpts for a finding, in the order of their worth. The first is the code that it stands in. Raises SkippedFile, OSError."""
    if not finding.path.endswith((".py", ".pyw")):
        yield Excerpt(finding.path, max(1, finding.span.line - _AROUND), finding.span.end_line + _AROUND, "the finding")
        yield from _related(finding, project)
        return
    source = project.source(finding.path)
    if not parses(source):
        yield from _unparsed(source, finding, project)
        return
    around = _around(source, finding)
    last = max(around.end_lineno or around.lineno, finding.span.end_line) if around else finding.span.end_line + _AROUND
    first = min(start(around), finding.span.line) if around else max(1, finding.span.line - _AROUND)
    yield Excerpt(finding.path, first, min(last, len(source.lines)), "the finding")
    for statement in source.tree.body:
        if _imports(statement):
            yield whole(finding.path, statement, "imports")
    yield from _related(finding, project)
    nodes = [node for node in descendants(source.tree) if first <= getattr(node, "lineno", 0) <= last]
    yield from _used(source, nodes, project)
    if around is not None:
        yield from _class(source, around)
        yield from _callers(source, around, project)
    else:
        yield from _users(source, finding)
    yield from _settings(source, nodes, project)
    yield from _tables(nodes, project)
    if concerns(" ".join([finding.message, *_told(finding)])):
        yield from application(finding.path, project)
    yield Excerpt(finding.path, max(1, first - _NEAR), min(last + _NEAR, len(source.lines)), "its neighbours")


def _unparsed(source: SourceFile, finding: Finding, project: Project) -> Iterator[Excerpt]:
    """The excerpts for a finding in a file that has no syntax tree: lines around it, and as much else of the file as there is room for."""
    last = len(source.lines)
    yield Excerpt(finding.path, max(1, finding.span.line - LONG), min(finding.span.end_line + LONG, last), "the finding")
    yield Excerpt(finding.path, 1, min(LONG, last), "imports")
    yield from _related(finding, project)
    yield Excerpt(finding.path, 1, last, "its file")


def _told(finding: Finding) -> Iterator[str]:
    """What reports say of the finding."""
    for report in finding.facts.get("reports", ()):
        yield from (value for value in report.values() if isinstance(value, str))


def _around(source: SourceFile, finding: Finding) -> Function | None:
    """The outermost function around the finding; a method counts, its class does not."""
    functions = [
        node
        for node in descendants(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and start(node) <= finding.span.line <= (node.end_lineno or node.lineno)
    ]
    return min(functions, key=lambda node: node.lineno, default=None)


def _imports(statement: ast.stmt) -> bool:
    """An import, also one that is tried or stands under a condition."""
    match statement:
        case ast.Import() | ast.ImportFrom():
            return True
        case ast.Try(body=[first, *_]) | ast.If(body=[first, *_]):
            return isinstance(first, ast.Import | ast.ImportFrom)
        case _:
            return False


def _related(finding: Finding, project: Project) -> Iterator[Excerpt]:
    for place in finding.related[:_RELATED]:
        first, last = max(1, place.line - 3), place.line + 5
        if place.path.endswith(".py") and place.path in project.files:
            try:
                tree = project.source(place.path).tree
            except (SkippedFile, OSError):
                continue
            owner = next((node for node in tree.body if node.lineno <= place.line <= (node.end_lineno or node.lineno)), None)
            if owner is not None and (owner.end_lineno or owner.lineno) - owner.lineno < LONG:
                first, last = owner.lineno, owner.end_lineno or owner.lineno
        yield Excerpt(place.path, first, last, "related")


def _used(source: SourceFile, nodes: list[ast.AST], project: Project) -> Iterator[Excerpt]:
    """Where the names that the code uses are defined: in this file, or in files of the project that it imports them from."""
    own = definitions(source)
    names = list(dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name)))
    members = {(node.value.id, node.attr) for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    for name in names:
        if name in own:
            yield head(source.path, own[name], "used")
            yield from _methods(source.path, name, own, {member for owner, member in members if owner == name})
    for name in names:
        origin = source.imports.get(name)
        if origin:
            yield from _imported(source.path, name, origin, members, project)


def _imported(importer: str, name: str, origin: str, members: set[tuple[str, str]], project: Project) -> Iterator[Excerpt]:
    bare = origin.lstrip(".")
    level = len(origin) - len(bare)
    module, _, member = bare.rpartition(".")
    path = project.resolve(bare, importer, level)
    wanted = [attribute for owner, attribute in members if owner == name] if path else [member]
    path = path or project.resolve(module, importer, level)
    if path is None or is_test(path):
        return
    try:
        found = definitions(project.source(path))
    except (SkippedFile, OSError):
        return
    for one in sorted(set(wanted)):
        if one in found:
            yield head(path, found[one], "used")
            if one == member:
                yield from _methods(path, one, found, {attribute for owner, attribute in members if owner == name})
        elif member and one == member and one not in project.source(path).imports:
            yield from _elsewhere(one, project)


def _methods(path: str, name: str, found: Mapping[str, ast.stmt], wanted: Collection[str]) -> Iterator[Excerpt]:
    """What the wanted methods do where a name is the one instance of a class, as ``service = Service()``."""
    match found.get(name):
        case ast.Assign(value=ast.Call(func=ast.Name(id=kind))) | ast.AnnAssign(value=ast.Call(func=ast.Name(id=kind))):
            owner = found.get(kind)
        case _:
            return
    for node in owner.body if isinstance(owner, ast.ClassDef) else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in wanted:
            short = (node.end_lineno or node.lineno) - node.lineno < _METHOD
            yield whole(path, node, "used") if short else head(path, node, "used")


def _elsewhere(name: str, project: Project) -> Iterator[Excerpt]:
    """Where the project defines a name that is imported from a module without it."""
    pattern = re.compile(rb"^(?:async def|def|class)[ \t]+%s\b|^%s\b[^=\n]*=" % ((re.escape(name.encode()),) * 2), re.MULTILINE)
    for path in sorted(project.files):
        try:
            if is_test(path) or not pattern.search(project.read(path)):
                continue
            yield head(path, definitions(project.source(path))[name], "defined here")
        except (KeyError, SkippedFile, OSError):
            continue


def _users(source: SourceFile, finding: Finding) -> Iterator[Excerpt]:
    """The functions of the file that use what a statement outside of functions imports or sets."""
    names: set[str] = set()
    for statement in source.tree.body:
        inside = statement.lineno <= finding.span.end_line and finding.span.line <= (statement.end_lineno or statement.lineno)
        if inside and not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for node in descendants(statement):
                if isinstance(node, ast.alias):
                    names.add(node.asname or node.name.partition(".")[0])
                elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    names.add(node.id)
    functions = (node for node in descendants(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    users = (node for node in functions if any(isinstance(part, ast.Name) and part.id in names for part in descendants(node)))
    for node in islice(users, _CALLERS):
        yield Excerpt(source.path, start(node), min(node.end_lineno or node.lineno, node.lineno + LONG), "uses it")


def _settings(source: SourceFile, nodes: list[ast.AST], project: Project) -> Iterator[Excerpt]:
    """The nearest example of the environment, when the code reads variables."""
    read = (source.qualified(node) for node in nodes if isinstance(node, ast.Attribute | ast.Name))
    if not any(name in ("os.getenv", "os.environ") for name in read):
        return
    above = [path for path in project.others if _ENVIRONMENT.search(path) and source.path.startswith(path.rpartition("/")[0])]
    for path in sorted(above, key=lambda path: path.count("/"), reverse=True)[:1]:
        yield Excerpt(path, 1, LONG, "settings")


def _class(source: SourceFile, around: Function) -> Iterator[Excerpt]:
    """The head of the method's class, and its ``__init__``."""
    owner = source.enclosing(around, ast.ClassDef)
    if owner is None:
        return
    yield Excerpt(source.path, start(owner), max([owner.lineno, *fields(owner)]), "the class")
    for node in owner.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node is not around:
            yield Excerpt(source.path, node.lineno, min(node.end_lineno or node.lineno, node.lineno + LONG), "the class")


def _callers(source: SourceFile, around: Function, project: Project) -> Iterator[Excerpt]:
    """Some of the places that name the function."""
    pattern = re.compile(rb"\b%s\b" % re.escape(around.name.encode()))
    found = 0
    for path in sorted(project.files, key=lambda path: (path != source.path, path)):
        if is_test(path) or around.name.startswith("__"):
            continue
        try:
            data = project.read(path)
        except OSError:
            continue
        for number, line in enumerate(data.splitlines(), 1):
            inside = path == source.path and around.lineno <= number <= (around.end_lineno or around.lineno)
            if pattern.search(line) and not inside and not line.lstrip().startswith((b"import ", b"from ", b"#")):
                yield Excerpt(path, max(1, number - 2), number + 2, "a caller")
                found += 1
                if found == _CALLERS:
                    return


def _tables(nodes: list[ast.AST], project: Project) -> Iterator[Excerpt]:
    """The definitions of database tables that strings of the code name."""
    texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    names = {text for text in texts if text.isidentifier()} | {name for text in texts for name in _TABLE.findall(text)}
    if not names:
        return
    for path in project.others:
        if not path.endswith(".sql"):
            continue
        try:
            lines = project.read(path)[:_MAX_SQL].decode("utf-8", "replace").splitlines()
        except OSError:
            continue
        for number, line in enumerate(lines, 1):
            made = re.match(
                r"\s*(?:create\s+table(?:\s+if\s+not\s+exists)?|alter\s+table(?:\s+only)?)\s+(?:\w+\.)?[\"`]?(\w+)", line, re.IGNORECASE
            )
            if made and made[1] in names:
                end = next((last for last in range(number, min(number + 60, len(lines) + 1)) if ";" in lines[last - 1]), number)
                yield Excerpt(path, number, end, "the schema")

"""What a model's patch must not do, checked before it touches any disk. All of it can be said without running the code.

A refusal goes back to the model as the reason for a repair round, and into the report when there is none left.
"""

from __future__ import annotations

import ast
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from fixbot.detectors.project import MAX_FILE_SIZE
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.walk import descendants
from fixbot.patchers.edits import GateError, check_patch
from fixbot.patchers.patch import Patch

DELETION, NETWORK, PROCESS, CODE = "file deletion", "network access", "starting programs", "running made-up code"
_NETWORK = re.compile(
    r"(aiohttp|asyncssh|boto3|ftplib|grpc|http|httpcore|httpx|imaplib|nntplib|paramiko|poplib|pycurl|requests|smtplib|socket|socketserver|"
    r"ssl|telnetlib|urllib|urllib3|websockets?|xmlrpc)\b(?!\.(?:parse|error|HTTPStatus)\b)"
)
_DATA = re.compile(r"\.(\w*(Error|Exception|Timeout|Warning)|timeout|gaierror|MockTransport|Request|Response)$")
"""Names of network libraries that reach nothing: errors, limits and messages."""
_PROCESS = re.compile(
    r"(subprocess|pty|pexpect|sh|multiprocessing)\b|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*)$|asyncio\.create_subprocess"
)
_CODE = re.compile(
    r"(pickle|marshal|dill|shelve|jsonpickle)\.(load|loads|Unpickler|open)$|(ctypes|cffi|runpy|code|codeop|imp)\b|os\._exit$|"
    r"importlib\.(import_module|reload|util\.\w+)$|builtins\.(eval|exec|compile|__import__)$|sys\.(settrace|setprofile|modules)$"
)
_BUILTIN_CODE = frozenset({"eval", "exec", "compile", "__import__", "globals", "locals", "breakpoint"})
_DELETION = re.compile(r"os\.(remove|unlink|rmdir|removedirs|truncate)$|shutil\.rmtree$")
_DELETING_METHODS = frozenset({"unlink", "rmdir", "rmtree"})
_MUTING = re.compile(r"#[ \t]*(?:noqa|type:\s*ignore|pyright|fixbot:|pragma|nosec|pylint|ruff:|mypy:|flake8|isort:|fmt:)", re.IGNORECASE)
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'/{}<>]+", re.IGNORECASE)
_TESTS = re.compile(r"PYTEST|pytest|unittest\.(?:skip|mock)|\bconftest\b")
_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_][\w.]*)", re.MULTILINE)


def check_reply_patch(
    patch: Patch,
    root: Path,
    tracked: Collection[str],
    shown: Collection[str],
    *,
    allows: Collection[str] = (),
    dependencies: bool = False,
    max_lines: int,
) -> dict[str, bytes]:
    """The changed files' new bytes, when a model's patch may be tried on the tree at ``root``. Raises GateError.

    ``shown`` are the files that the model was given; ``allows`` names what the rule's fixes may newly do (``DELETION``, ...);
    ``dependencies`` allows edits of requirement files.
    """
    for path in patch.paths:
        if path not in shown:
            raise GateError(f"refused path {path[:200]!a}: the finding does not concern it")
    changed = check_patch(patch, root, tracked, max_lines=max_lines, dependencies=dependencies)
    for path, new in changed.items():
        old = (root / path).read_bytes()
        _check_text(path, old, new)
        if path.endswith((".py", ".pyw")):
            _check_code(SourceFile(path, old), SourceFile(path, new), allows)
    _check_imports(changed, root, tracked)
    return changed


def _check_text(path: str, old: bytes, new: bytes) -> None:
    before, after = (data.decode("utf-8", "replace") for data in (old, new))
    if _invisible(after) - _invisible(before):
        raise GateError(f"{path}: the edit adds control characters or invisible ones")
    if len(_MUTING.findall(after)) > len(_MUTING.findall(before)):
        raise GateError(f"{path}: the edit mutes a check by a comment instead of fixing the code")
    hosts = {url.lower() for url in _URL.findall(after)} - {url.lower() for url in _URL.findall(before)}
    if hosts:
        raise GateError(f"{path}: the edit names an address that was not there: {min(hosts)[:100]!a}")
    if len(_TESTS.findall(after)) > len(_TESTS.findall(before)):
        raise GateError(f"{path}: the edit makes the code aware of its tests")


def _invisible(text: str) -> Counter[str]:
    return Counter(
        sign
        for sign in text
        if (sign < " " and sign not in "\t\n\r\f") or (sign > "~" and unicodedata.category(sign) in ("Cc", "Cf", "Co"))
    )


def _check_code(old: SourceFile, new: SourceFile, allows: Collection[str]) -> None:
    try:
        before, after = old.tree, new.tree
    except SkippedFile as reason:
        raise GateError(f"{new.path}: {reason}") from None
    if _count(after, ast.Assert) < _count(before, ast.Assert):
        raise GateError(f"{new.path}: the edit removes an assert")
    known, found = Counter(_abilities(old)), Counter(_abilities(new))
    for (ability, name), number in found.items():
        before_it = known[ability, name]
        if ability not in allows and (number > before_it if ability == DELETION else not before_it):
            raise GateError(f"{new.path}: the edit brings {ability} that the code did not have: {name}")


def code_problem(source: SourceFile) -> str:
    """What new code does that a fix's test must not: reach the network, start programs, run made-up code. Raises SkippedFile.

    A test may say which modules are loaded: that is how one shows what happens when an import fails.
    """
    found = next((one for one in _abilities(source) if one[0] in (NETWORK, PROCESS, CODE) and one[1] != "sys.modules"), None)
    return f"{source.path} brings {found[0]}: {found[1]}" if found else ""


def _count(tree: ast.AST, kind: type[ast.AST]) -> int:
    return sum(isinstance(node, kind) for node in descendants(tree))


def _abilities(source: SourceFile) -> Iterator[tuple[str, str]]:
    """What the code can do to the world, as (ability, name): once for each place in it."""
    temporary = _temporary(source)
    for node in descendants(source.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield from _named(node, source)
        elif isinstance(node, ast.Call):
            name = _deletes(node, source)
            if name and not _names(node) & temporary:
                yield DELETION, name


def _named(node: ast.Attribute | ast.Name, source: SourceFile) -> Iterator[tuple[str, str]]:
    origin = source.qualified(node)
    if origin is None:
        if isinstance(node, ast.Name) and node.id in _BUILTIN_CODE and node.id not in source.imports:
            yield CODE, node.id
        return
    if network := _NETWORK.match(origin):
        if origin not in ("urllib", "http") and not _names_data(node, source):
            yield NETWORK, network[1]
    elif _PROCESS.match(origin):
        yield PROCESS, origin
    elif _CODE.match(origin):
        yield CODE, origin


def _names_data(node: ast.expr, source: SourceFile) -> bool:
    """Whether a dotted name of a network library, or the longer one that it is part of, only stands for data."""
    whole: ast.AST | None = node
    while isinstance(whole, ast.Attribute | ast.Name):
        if _DATA.search(source.qualified(whole) or ""):
            return True
        whole = source.parent(whole)
    return False


def _deletes(call: ast.Call, source: SourceFile) -> str:
    origin = source.qualified(call.func) or ""
    if _DELETION.match(origin):
        return origin
    if isinstance(call.func, ast.Attribute) and call.func.attr in _DELETING_METHODS and not origin:
        return f".{call.func.attr}()"
    return ""


def _temporary(source: SourceFile) -> frozenset[str]:
    """Names that stand only for something made by ``tempfile`` (or None): removing that destroys nothing of anybody's."""
    bindings: list[tuple[set[str], ast.expr]] = []
    for node in descendants(source.tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                bindings.append(({name for target in targets for name in _names(target)}, value))
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                bindings.append((_names(target), value))
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                bindings.append((_names(target), value))
            case _:
                pass
    found: set[str] = set()
    for _ in range(3):  # a name of a name of a name
        found |= {name for names, value in bindings if _from_tempfile(value, source, found) for name in names}
    others = {name for names, value in bindings if not (_is_none(value) or _from_tempfile(value, source, found)) for name in names}
    return frozenset(found - others)


def _from_tempfile(value: ast.expr, source: SourceFile, known: Collection[str]) -> bool:
    calls = (part for part in descendants(value) if isinstance(part, ast.Call))
    return not _names(value).isdisjoint(known) or any((source.qualified(call.func) or "").startswith("tempfile.") for call in calls)


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in descendants(node) if isinstance(part, ast.Name)}


def _check_imports(changed: Mapping[str, bytes], root: Path, tracked: Collection[str]) -> None:
    """Refuse an import of something that is neither the standard library's nor imported or defined anywhere in the repository."""
    for path, new in changed.items():
        if not path.endswith((".py", ".pyw")):
            continue
        added = _imported(new) - _imported((root / path).read_bytes()) - sys.stdlib_module_names
        if added:
            unknown = sorted(added - _known(root, tracked))
            if unknown:
                raise GateError(f"{path}: the edit needs a module that the repository does not use: {unknown[0]}")


def _imported(data: bytes) -> set[str]:
    return {name.decode().partition(".")[0] for name in _IMPORT.findall(data)}


def _known(root: Path, tracked: Collection[str]) -> set[str]:
    """Modules of the repository and those that its files import."""
    names: set[str] = set()
    for path in tracked:
        if path.endswith(".py"):
            *folders, name = path.split("/")
            names |= {*folders, name.removesuffix(".py")}
            full = root / path
            if full.is_file() and not full.is_symlink() and full.stat().st_size <= MAX_FILE_SIZE:
                names |= _imported(full.read_bytes())
    return names

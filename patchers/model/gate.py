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

from packaging.utils import canonicalize_name

from fixbot.detectors.knowledge import table
from fixbot.detectors.manifests import Format, format_of, read_manifest
from fixbot.detectors.project import MAX_FILE_SIZE
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.walk import descendants
from fixbot.patchers.edits import GateError, check_patch
from fixbot.patchers.model.broken import Before, parses
from fixbot.patchers.patch import Patch

DELETION, NETWORK, PROCESS, CODE = "file deletion", "network access", "starting programs", "running made-up code"
_NETWORK = re.compile(
    r"(aiohttp|asyncssh|boto3|ftplib|grpc|http|httpcore|httpx|imaplib|nntplib|paramiko|poplib|pycurl|requests|smtplib|socket|socketserver|"
    r"ssl|telnetlib|urllib|urllib3|websockets?|xmlrpc)\b(?!\.(?:parse|error|HTTPStatus)\b)"
)
_HARMLESS = re.compile(
    r"(Error|Exception|Warning|[Tt]imeout|Expired|PIPE|STDOUT|DEVNULL|CompletedProcess|gaierror|herror|\.MockTransport|\.Request|\.Response)$"
)
"""Names of modules for the network and for programs that only say what went wrong, or how, or are messages."""
_PROCESS = re.compile(
    r"(subprocess|pty|pexpect|sh|multiprocessing)\b|os\.(system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*)$|asyncio\.create_subprocess"
)
_CODE = re.compile(
    r"(pickle|marshal|dill|shelve|jsonpickle)\.(load|loads|Unpickler|open)$|(ctypes|cffi|runpy|code|codeop|imp)\b|os\._exit$|"
    r"importlib\.(import_module|reload|util\.\w+)$|builtins\.(eval|exec|compile|__import__)$|sys\.(settrace|setprofile|modules)$"
)
_BUILTIN_CODE = frozenset({"eval", "exec", "compile", "__import__", "globals", "locals", "breakpoint", "__builtins__"})
_ANYTHING = frozenset({"os", "sys", "builtins", "importlib", "shutil", "subprocess", "pickle", "posix"})
_DELETION = re.compile(r"os\.(remove|unlink|rmdir|removedirs|truncate)$|shutil\.rmtree$")
_DELETING_METHODS = frozenset({"unlink", "rmdir", "rmtree"})
_MUTING = re.compile(
    r"#[ \t]*(?:noqa|type:\s*ignore|pyright:|fixbot:|pragma:|nosec|pylint:|ruff:|mypy:|flake8:|isort:|fmt:)", re.IGNORECASE
)
_URL = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s\"'/{}<>]+)", re.IGNORECASE)
_SECURE = frozenset({"https", "wss", "ftps", "ldaps", "rediss", "amqps"})
_TESTS = re.compile(r"PYTEST|pytest|\bTESTING\b|unittest\.(?:skip|mock)|\bconftest\b")
_IMPORT = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


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
    known = _addresses(before)
    hosts = {host for _, host in known}
    strange = {(scheme, host) for scheme, host in _addresses(after) - known if scheme not in _SECURE or host not in hosts}
    if strange:
        raise GateError(f"{path}: the edit names an address that was not there: {'://'.join(min(strange))[:100]!a}")
    if len(_TESTS.findall(after)) > len(_TESTS.findall(before)):
        raise GateError(f"{path}: the edit makes the code aware of its tests")


def _addresses(text: str) -> set[tuple[str, str]]:
    return {(scheme.lower(), host.lower().rstrip(".,;:)")) for scheme, host in _URL.findall(text)}


def _invisible(text: str) -> Counter[str]:
    return Counter(
        sign
        for sign in text
        if (sign < " " and sign not in "\t\n\r\f") or (sign > "~" and unicodedata.category(sign) in ("Cc", "Cf", "Co"))
    )


def _check_code(old: SourceFile, new: SourceFile, allows: Collection[str]) -> None:
    try:
        after = new.tree
        before = Before(old, new) if not parses(old) else None
    except SkippedFile as reason:
        raise GateError(f"{new.path}: {reason}") from None
    if _asserts(after) < (before.asserts if before else _asserts(old.tree)):
        raise GateError(f"{new.path}: the edit removes an assert")
    if before:
        _check_mended(before, new, allows)
        return
    known, found = (Counter((one, name) for one, name, _ in _abilities(source)) for source in (old, new))
    for ability in (DELETION, NETWORK, PROCESS, CODE):
        had, has = ({name: number for (one, name), number in counts.items() if one == ability} for counts in (known, found))
        fresh = [name for name, number in has.items() if number > had.get(name, 0)]
        if ability in (DELETION, PROCESS):  # no more of it, by whatever name
            bad = fresh if sum(has.values()) > sum(had.values()) else []
        else:
            bad = [name for name in fresh if name not in had and not (name == "urllib3" and "requests" in had)]
        if bad and ability not in allows:
            raise GateError(f"{new.path}: the edit brings {ability} that the code did not have: {bad[0]}")


def _check_mended(before: Before, new: SourceFile, allows: Collection[str]) -> None:
    """As ``_check_code`` does it for a file that did not parse: every line that can do something must have been there."""
    for ability in (DELETION, NETWORK, PROCESS, CODE):
        fresh = before.fresh((name, node) for one, name, node in _abilities(new) if one == ability and ability not in allows)
        if fresh:
            raise GateError(f"{new.path}: the edit brings {ability} that the code, which does not parse, did not have so: {fresh}")


def code_problem(source: SourceFile) -> str:
    """What new code does that a fix's test must not: reach the network, start programs, run made-up code. Raises SkippedFile.

    A test may say through ``monkeypatch`` which modules are loaded: that is how one shows what happens when an import fails.
    """
    found = next((one for one in _abilities(source, _patched(source)) if one[0] in (NETWORK, PROCESS, CODE)), None)
    return f"{source.path} brings {found[0]}: {found[1]}" if found else ""


def _patched(source: SourceFile) -> frozenset[ast.AST]:
    """``sys.modules`` where a test hands it to ``monkeypatch``: only so can it import a module afresh, or as if it were not installed."""
    calls = (node for node in descendants(source.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    patches = (call for call in calls if ast.unparse(call.func) in ("monkeypatch.delitem", "monkeypatch.setitem") and call.args)
    return frozenset(call.args[0] for call in patches if source.qualified(call.args[0]) == "sys.modules")


def _asserts(tree: ast.AST) -> int:
    """How many asserts can fail."""
    return sum(isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant) for node in descendants(tree))


def _abilities(source: SourceFile, harmless: Collection[ast.AST] = ()) -> Iterator[tuple[str, str, ast.expr]]:
    """What the code can do to the world, as (ability, name, node): once for each place in it but the ``harmless`` ones."""
    temporary = _temporary(source)
    for node in descendants(source.tree):
        if isinstance(node, ast.Attribute | ast.Name):
            if node not in harmless and not isinstance(source.parent(node), ast.Attribute):  # the longest chain says it all
                yield from ((ability, name, node) for ability, name in _named(node, source))
        elif isinstance(node, ast.Call):
            name = _deletes(node, source)
            if name and not _names(node) & temporary:
                yield DELETION, name, node
            yield from ((ability, name, node) for ability, name in _by_name(node, source))


def _named(node: ast.Attribute | ast.Name, source: SourceFile) -> Iterator[tuple[str, str]]:
    origin = source.qualified(node)
    if origin is None:
        if isinstance(node, ast.Name) and node.id in _BUILTIN_CODE and node.id not in source.imports:
            yield CODE, node.id
        return
    if _HARMLESS.search(origin):
        return
    if network := _NETWORK.match(origin):
        yield NETWORK, network[1]
    elif _PROCESS.match(origin):
        yield PROCESS, origin
    elif _CODE.match(origin):
        yield CODE, origin


def _by_name(call: ast.Call, source: SourceFile) -> Iterator[tuple[str, str]]:
    """A function looked up by its name in a module that could do anything: what it is cannot be told."""
    if isinstance(call.func, ast.Name) and call.func.id in ("getattr", "vars") and call.args:
        origin = source.qualified(call.args[0]) or ""
        if origin in _ANYTHING or (isinstance(call.args[0], ast.Name) and call.args[0].id == "__builtins__"):
            yield CODE, f"{call.func.id}({origin or '__builtins__'})"


def _deletes(call: ast.Call, source: SourceFile) -> str:
    origin = source.qualified(call.func) or ""
    if _DELETION.match(origin):
        return origin
    if isinstance(call.func, ast.Attribute) and call.func.attr in _DELETING_METHODS and not origin:
        return f".{call.func.attr}()"
    return ""


def _temporary(source: SourceFile) -> frozenset[str]:
    """Names that stand only for a temporary file (or None): removing that destroys nothing of anybody's."""
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
    if not _names(value).isdisjoint(known) or any((source.qualified(call.func) or "").startswith("tempfile.") for call in calls):
        return True
    texts = (part.value for part in descendants(value) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return any(text.endswith((".tmp", ".temp", ".part")) for text in texts)  # what is written before it takes a file's place


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in descendants(node) if isinstance(part, ast.Name)}


def _check_imports(changed: Mapping[str, bytes], root: Path, tracked: Collection[str]) -> None:
    """Refuse an import of what is neither the standard library's nor imported, defined or declared anywhere in the repository."""
    for path, new in changed.items():
        if not path.endswith((".py", ".pyw")):
            continue
        old = SourceFile(path, (root / path).read_bytes())
        known = _imports(old) if parses(old) else {name.decode() for name in _IMPORT.findall(old.data)}
        added = _imports(SourceFile(path, new)) - known - sys.stdlib_module_names
        if added:
            unknown = sorted(added - _known(root, tracked))
            declared = _declared(root, tracked) if unknown else frozenset[str]()
            makers = table("distributions")["distributions"]
            unknown = [name for name in unknown if declared.isdisjoint(map(canonicalize_name, [name, *makers.get(name, ())]))]
            if unknown:
                raise GateError(f"{path}: the edit needs a module that the repository does not use: {unknown[0]}")


def _imports(source: SourceFile) -> set[str]:
    """Top-level names of the modules that a file imports absolutely."""
    found: set[str] = set()
    for node in source.import_statements:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif not node.level and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _known(root: Path, tracked: Collection[str]) -> set[str]:
    """Modules of the repository and those that its files import."""
    names: set[str] = set()
    for path in tracked:
        if path.endswith(".py"):
            *folders, name = path.split("/")
            names |= {*folders, name.removesuffix(".py")}
            names |= {name.decode() for name in _IMPORT.findall(_content(root / path))}
    return names | {"urllib3"} if "requests" in names else names  # it brings the other


def _declared(root: Path, tracked: Collection[str]) -> frozenset[str]:
    """The distributions that requirement files of the repository name."""
    kinds = ((path, format_of(path)) for path in tracked)
    manifests = (read_manifest(path, _content(root / path), kind) for path, kind in kinds if kind not in (None, Format.SCRIPT))
    return frozenset(canonicalize_name(one.name) for manifest in manifests if manifest for one in manifest.declarations)


def _content(full: Path) -> bytes:
    regular = full.is_file() and not full.is_symlink() and full.stat().st_size <= MAX_FILE_SIZE
    return full.read_bytes() if regular else b""

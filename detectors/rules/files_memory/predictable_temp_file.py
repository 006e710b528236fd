"""A file is written in the temporary folder under a name that is always the same."""

from __future__ import annotations

import ast
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from fixbot.detectors.finding import CODEMOD, MODEL, Severity
from fixbot.detectors.handlers import called_name, own_nodes
from fixbot.detectors.knowledge import table
from fixbot.detectors.project import is_test
from fixbot.detectors.registry import Report, report, rule
from fixbot.detectors.source import SourceFile

_FOLDER = re.compile(r"/(?:private/)?(?:(?:var|usr)/)?tmp/+(?=[^/])")
_MODE = re.compile(r"[rwaxbt+]+(?:[:|](?:gz|bz2|xz)?)?")
_MEETING_POINT = re.compile(r"(?:[._-]|^)(?:sock|socket|pid|lock|lck|fifo|pipe)$|lock$", re.IGNORECASE)
_ASIDE = frozenset({"doc", "docs", "example", "examples", "sample", "samples", "demo", "demos", "benchmarks", "tutorials"})
_OPENERS = frozenset({"open", "ZipFile", "TarFile", "GzipFile", "BZ2File", "LZMAFile"})
_PATH_WRITES = frozenset({"write_text", "write_bytes", "touch"})
_QUESTIONS = frozenset({"exists", "isfile", "is_file", "lexists", "getmtime", "getsize", "stat", "access"})
_WRAPPERS = frozenset({"Path", "PurePath", "PosixPath", "str", "fspath"})
_OUTPUT_FLAGS = frozenset({"-o", "-O", "--out", "--output", "--outfile", "--output-file", "--output-document"})
_CLOCKS = frozenset({"time.time", "time.strftime", "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"})
_USERS = frozenset({"os.getuid", "os.getlogin", "getpass.getuser"})
_SAME_TEXT = frozenset({"int", "str", "round", "strftime", "isoformat", "format", "date", "timestamp", "replace"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@rule(
    (ast.FunctionDef, ast.AsyncFunctionDef),
    severity=Severity.HIGH,
    fix=CODEMOD,
    hint=(b"/tmp/", b'/tmp"', b"/tmp'", b"gettempdir"),
)
def check(node: _Function, source: SourceFile) -> Iterator[Report]:
    """One finding for each such path, where it is spelled, however often the function writes to it."""
    nodes = list(own_nodes(node.body))
    if not any(_hints_at_folder(part) for part in nodes) or _is_aside(source):
        return
    calls = [part for part in nodes if isinstance(part, ast.Call)]
    if any(called_name(call) in ("flock", "lockf") for call in calls):
        return
    values = _values(node, nodes)
    seen: set[ast.expr] = set()
    for call in sorted(calls, key=lambda part: (part.lineno, part.col_offset)):
        for path in written(call, source):
            name = path.id if isinstance(path, ast.Name) else ""
            spelled = values.get(name, path)
            if spelled in seen:
                continue
            shown = _temp_path(spelled, values, source)
            if not shown or (name and _asked_before(name, call, calls)):
                continue
            seen.add(spelled)
            movable = name and ".filename}" not in shown and not any(isinstance(part, ast.Yield | ast.YieldFrom) for part in nodes)
            yield report(spelled, _message(shown), fix=CODEMOD if movable else MODEL, file=shown)


def _message(shown: str) -> str:
    return (
        f"`{shown}` is the same file for everybody: two calls at once overwrite each other's content, it stays behind after an error, "
        "and another user of the machine can put a link there first"
    )


def _hints_at_folder(part: ast.AST) -> bool:
    if isinstance(part, ast.Constant):
        return isinstance(part.value, str) and "tmp" in part.value
    return isinstance(part, ast.Name | ast.Attribute) and (part.id if isinstance(part, ast.Name) else part.attr) == "gettempdir"


def _is_aside(source: SourceFile) -> bool:
    """Whether nobody else's file can be in the way (tests, examples), or the folder is the function's own (AWS Lambda)."""
    if is_test(source.path) or not _ASIDE.isdisjoint(source.path.casefold().split("/")[:-1]):
        return True
    return any(isinstance(part, _Function) and [arg.arg for arg in part.args.args] == ["event", "context"] for part in source.tree.body)


def _values(function: _Function, nodes: Sequence[ast.AST]) -> dict[str, ast.expr]:
    """What the names that are bound exactly once in a function are bound to, where that is by a plain assignment."""
    stored = Counter(part.id for part in nodes if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load))
    stored.update(arg.arg for arg in ast.walk(function.args) if isinstance(arg, ast.arg))
    stored.update(name for part in nodes if isinstance(part, ast.Global | ast.Nonlocal) for name in part.names)
    values: dict[str, ast.expr] = {}
    for part in nodes:
        target = part.targets[0] if isinstance(part, ast.Assign) and len(part.targets) == 1 else getattr(part, "target", None)
        if isinstance(part, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and part.value and stored[target.id] == 1:
            values[target.id] = part.value
    return values


def _asked_before(name: str, write: ast.Call, calls: Sequence[ast.Call]) -> bool:
    """Whether the function asks for the file before it writes: what it keeps there is meant to be found again."""
    before = [call for call in calls if called_name(call) in _QUESTIONS and call.lineno <= write.lineno]
    return any(isinstance(part, ast.Name) and part.id == name for call in before for part in ast.walk(call))


# Paths


def _temp_path(node: ast.expr, values: Mapping[str, ast.expr], source: SourceFile) -> str:
    """The path as text when it lies in the temporary folder and can be guessed, holes as ``{code}``; else ``""``."""
    pieces = list(_pieces(node, source))
    if not pieces or not isinstance(pieces[0], str):
        return ""
    text = "".join(piece if isinstance(piece, str) else f"{{{ast.unparse(piece)}}}" for piece in pieces)
    folder = _FOLDER.match(text)
    holes = [piece for piece in pieces if not isinstance(piece, str)]
    if not folder or _MEETING_POINT.search(text) or not all(_guessable(hole, values, source) for hole in holes):
        return ""
    return text


def _pieces(node: ast.expr, source: SourceFile) -> Iterator[str | ast.expr]:
    """A path expression as texts and the expressions between them."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            for part in parts:
                yield from _pieces(part.value if isinstance(part, ast.FormattedValue) else part, source)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield from _pieces(left, source)
            yield from _pieces(right, source)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield from _joined([left, right], source)
        case ast.BinOp(left=ast.Constant(value=str(text)), op=ast.Mod(), right=right):
            yield text.partition("%")[0]
            yield from right.elts if isinstance(right, ast.Tuple) else [right]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(text)), attr="format")):
            yield text.partition("{")[0]
            yield from (*node.args, *(keyword.value for keyword in node.keywords))
        case ast.Call(args=[*parts]) if parts and not node.keywords and _joins(node, source):
            yield from _joined(parts, source)
        case ast.Call() if source.qualified(node.func) == "tempfile.gettempdir":
            yield "/tmp"
        case _:
            yield node


def _joins(call: ast.Call, source: SourceFile) -> bool:
    return called_name(call) in _WRAPPERS or source.qualified(call.func) in ("os.path.join", "posixpath.join")


def _joined(parts: Sequence[ast.expr], source: SourceFile) -> Iterator[str | ast.expr]:
    for number, part in enumerate(parts):
        if number:
            yield "/"
        yield from _pieces(part, source)


def _guessable(hole: ast.expr, values: Mapping[str, ast.expr], source: SourceFile) -> bool:
    """Whether another call or user comes by the same value: constants, the clock, the user, the name that an upload was sent with."""
    match hole:
        case ast.Constant():
            return True
        case ast.Name(id=name):
            return name in values and not isinstance(values[name], ast.Name) and _guessable(values[name], values, source)
        case ast.Attribute(attr="filename"):
            return True
        case ast.Call(func=func):
            if source.qualified(func) in _CLOCKS | _USERS:
                return True
            inner = func.value if isinstance(func, ast.Attribute) else hole.args[0] if len(hole.args) == 1 else None
            return called_name(hole) in _SAME_TEXT and inner is not None and _guessable(inner, values, source)
        case _:
            return False


# Writers


def written(call: ast.Call, source: SourceFile) -> Iterator[ast.expr]:
    """The paths (as expressions, without ``Path()`` and ``str()`` around them) of the files that a call creates or overwrites."""
    yield from map(_bare, _written(call, source))


def _written(call: ast.Call, source: SourceFile) -> Iterator[ast.expr]:
    name, func, known = called_name(call), call.func, table("predictable_temp_file")
    receiver = func.value if isinstance(func, ast.Attribute) else None
    origin = source.qualified(func) or ""
    if origin == "os.open":
        flags = {part.attr for argument in call.args[1:2] for part in ast.walk(argument) if isinstance(part, ast.Attribute)}
        yield from call.args[:1] if "O_CREAT" in flags and "O_EXCL" not in flags else ()
    elif name in _OPENERS:
        yield from call.args[:1] if _writes(_argument(call, 1, "mode")) else ()
        yield from [receiver] if receiver and _writes(_argument(call, 0, "mode")) else ()
    elif receiver and name in _PATH_WRITES:
        yield receiver
    elif origin in known["functions"]:
        position, keyword = known["functions"][origin]
        path = _argument(call, position, keyword)
        yield from [path] if path else ()
    elif receiver and name in known["methods"] and not _is_distributed(receiver):
        yield from (*call.args, *(keyword.value for keyword in call.keywords))
    elif origin.startswith("subprocess.") or origin == "asyncio.create_subprocess_exec":
        command = call.args[0] if call.args else None
        yield from _outputs(command.elts if isinstance(command, ast.List | ast.Tuple) else call.args)


def _is_distributed(receiver: ast.expr) -> bool:
    """Whether a method belongs to a Spark writer (``frame.write...``), whose paths are those of the cluster."""
    return any(isinstance(part, ast.Attribute) and part.attr in ("write", "writeStream") for part in ast.walk(receiver))


def _outputs(command: Sequence[ast.expr]) -> Iterator[ast.expr]:
    words = [str(part.value) if isinstance(part, ast.Constant) else "" for part in command]
    to_last = bool(words) and words[0].rpartition("/")[2] in table("predictable_temp_file")["programs"]
    for number, (before, part) in enumerate(itertools.pairwise(zip(words, command, strict=True)), 1):
        last = to_last and number == len(command) - 1
        if before[0] in _OUTPUT_FLAGS or (last and before[0] != "-i"):
            yield part[1]


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((one.value for one in call.keywords if one.arg == keyword), None)


def _writes(mode: ast.expr | None) -> bool:
    """Whether a mode replaces a file that is there already: ``x`` refuses to, ``a`` is for logs that are meant to grow."""
    text = mode.value if isinstance(mode, ast.Constant) else None
    return isinstance(text, str) and bool(_MODE.fullmatch(text)) and "w" in text


def _bare(path: ast.expr) -> ast.expr:
    while isinstance(path, ast.Call) and len(path.args) == 1 and called_name(path) in _WRAPPERS and isinstance(path.args[0], ast.Name):
        path = path.args[0]
    return path

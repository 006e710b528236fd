"""Asks an interpreter, inside the sandbox, what it is and which distributions it lacks; and finds the folders that it needs to start."""

from __future__ import annotations

import ast
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fixbot.agent.environments.files import strings, table, text
from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox.base import Command, Limits, Sandbox

MAX_LINKS = 40
MAX_PTH_BYTES = 1024 * 1024
OLDEST = (3, 8)

_SYSTEM = frozenset({"/", "/bin", "/etc", "/home", "/lib", "/lib64", "/mnt", "/opt", "/root", "/run", "/sbin", "/srv", "/tmp", "/var"})
_KERNEL = frozenset({("dev",), ("proc",), ("sys",)})
_MARK = "fixbot-probe:"
_CODE = r"""
import json, re, sys
from importlib import util
try:
    from importlib import metadata
except ImportError:
    metadata = None
def plain(name):
    return re.sub("[-_.]+", "-", name or "").lower()
found = {}
for item in metadata.distributions() if metadata else ():
    try:
        found.setdefault(plain(item.metadata["Name"]), item.version)
    except Exception:
        pass
pytest = found.get("pytest", "unknown") if util.find_spec("pytest") else None
print("\n" + sys.argv[1] + json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3], "prefix": sys.prefix, "base_prefix": sys.base_prefix,
    "pytest": pytest, "missing": [name for name in json.loads(sys.argv[2]) if plain(name) not in found]}))
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """What an interpreter says about itself. ``version`` is ``3.11.7``; ``missing`` are names of the asked-for distributions."""

    version: str
    pytest: str | None
    missing: tuple[str, ...]

    @property
    def minor(self) -> str:
        """The version without the last part: ``3.11``."""
        return ".".join(self.version.split(".")[:2])


def probe(python: Path, readable: Sequence[Path], wanted: Sequence[str], sandbox: Sandbox, cache: Path) -> Probe | str:
    """Run ``python`` in the sandbox with an empty folder as its world; a string says why it cannot be used."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".probe-", dir=cache) as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = Command(
            argv=[str(python), "-I", "-c", _CODE, _MARK, json.dumps(list(wanted))],
            root=folder,
            mount=folder,
            readable=[(path, path) for path in readable],
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
            limits=Limits(seconds=60, cpu_seconds=60),
        )
        try:
            outcome = sandbox.run(command)
        except SandboxError as error:
            if os.access(python, os.X_OK):
                raise
            return f"cannot be started: {error.message}"
    if outcome.exit_code != 0:
        ending = f"limit: {outcome.limit}" if outcome.limit else f"exit code {outcome.exit_code}"
        return f"does not start ({ending}): {' '.join(outcome.output.split())[-200:]}"
    return _parsed(outcome.output)


def _parsed(output: str) -> Probe | str:
    line = next((line for line in reversed(output.splitlines()) if line.startswith(_MARK)), "")
    try:
        data = table(json.loads(line.removeprefix(_MARK)))
        version = text(data.get("version"))
        numbers = tuple(int(part) for part in version.split("."))
    except (ValueError, RecursionError):
        return "gives no answer: it is not a Python interpreter"
    if numbers < OLDEST:
        return f"is Python {version}; 3.8 or newer is needed"
    return Probe(version, text(data.get("pytest")) or None, strings(data.get("missing")))


def environment_root(python: Path) -> Path | None:
    """The virtual environment that an interpreter belongs to (the folder with pyvenv.cfg), or None."""
    folder = python.parent.parent
    return folder if (folder / "pyvenv.cfg").is_file() else None


def readable_folders(python: Path, repository: Path) -> tuple[Path, ...]:
    """Host folders outside /usr that ``python`` needs: its environment, base installation and editable installs elsewhere.

    Found by reading links, pyvenv.cfg and .pth files, never by asking the interpreter. Never the home folder, ``repository`` or a parent.
    """
    found: dict[Path, None] = {}
    waiting = [python]
    seen: set[Path] = set()
    while waiting and len(seen) < MAX_LINKS:
        current = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        folder = current.parent.parent
        if (folder / "pyvenv.cfg").is_file() or any(folder.glob("lib/python3*/os.py")) or any(folder.glob("lib64/python3*/os.py")):
            found.update({folder: None, folder.resolve(): None})
        if current.is_symlink():
            target = os.path.join(current.parent, os.readlink(current))
            waiting += [Path(os.path.normpath(target)), current.parent.resolve() / current.name]
        if home := _home(folder):
            waiting.append(home / current.name)
            waiting.append(home / "python3")
    root = environment_root(python)
    for path in _editable(root) if root else ():
        if not path.resolve().is_relative_to(repository.resolve()):
            found[path] = None
    return tuple(path for path in found if _may_be_shown(path, repository))


def _home(folder: Path) -> Path | None:
    for line in _read(folder / "pyvenv.cfg").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home" and os.path.isabs(value.strip()):
            return Path(value.strip())
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() and path.stat().st_size <= MAX_PTH_BYTES else ""
    except OSError:
        return ""


def _editable(root: Path) -> Iterator[Path]:
    """Folders and modules outside an environment that its .pth files and setuptools' finders add."""
    for site in root.glob("lib/python3*/site-packages"):
        for file in sorted(site.glob("*.pth")):
            lines = (line.strip() for line in _read(file).splitlines())
            yield from (site / line for line in lines if line and not line.startswith(("#", "import ", "import\t")))
        for file in sorted(site.glob("__editable__*finder.py")):
            yield from (Path(path) for path in _mapping(_read(file)) if os.path.isabs(path))


def _mapping(source: str) -> Iterator[str]:
    try:
        body = ast.parse(source).body
        values = [node.value for node in body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "MAPPING"]
        for value in values:
            mapping = cast("object", ast.literal_eval(value)) if value is not None else None
            yield from (path for path in table(mapping).values() if isinstance(path, str))
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return


def _may_be_shown(path: Path, repository: Path) -> bool:
    real = path.resolve()
    if not real.exists() or real.is_relative_to("/usr") or str(real) in _SYSTEM or real.parts[1:2] in _KERNEL:
        return False
    private = (Path(os.path.expanduser("~")).resolve(), repository.resolve())
    return not any(folder.is_relative_to(real) for folder in private)

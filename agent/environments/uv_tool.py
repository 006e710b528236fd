"""Runs uv so that the target repository has no say in it: own folder, chosen environment variables, no configuration files."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fixbot.agent.errors import NoEnvironmentError

LOG = logging.getLogger(__name__)

SECONDS = 900
CURE = "pass --python PATH, an interpreter that has the target's dependencies and pytest"

# The caller's own settings for network, cache and interpreters. Left out is what would change which packages are asked for.
_KEPT = frozenset(
    {"HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LC_ALL", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"}
    | {"UV_CACHE_DIR", "UV_OFFLINE", "UV_NO_CACHE", "UV_LINK_MODE", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS"}
    | {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX_STRATEGY"}
    | {"UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_EXCLUDE_NEWER", "UV_TORCH_BACKEND", "UV_HTTP_RETRIES", "UV_CONCURRENT_DOWNLOADS"}
    | {"UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_DOWNLOADS", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON"}
)
_KEPT_PATTERN = re.compile(r"(?i:(https?|all|no)_proxy)|UV_INDEX_\w+_(USERNAME|PASSWORD)")
_NETWORK = re.compile(
    r"network (was|is) disabled|error sending request|failed to fetch|client error|dns error|request failed", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Uv:
    """How to start uv: absolute path of the program, working folder, whole environment."""

    binary: str
    folder: Path
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ran:
    """How one uv command ended; ``reason`` is what it printed as the error, in one line."""

    ok: bool
    stdout: str
    reason: str

    @property
    def offline(self) -> bool:
        """Whether it failed because the network or the package index cannot be reached."""
        return not self.ok and _NETWORK.search(self.reason) is not None


def find_uv(folder: Path, avoided: Sequence[Path]) -> Uv:
    """The uv that fixbot depends on, else one on PATH outside the ``avoided`` (target's) folders.

    Raises NoEnvironmentError when there is none.
    """
    path = _search_path(avoided)
    binary = _installed_uv() or shutil.which("uv", path=path)
    if binary is None:
        raise NoEnvironmentError("uv, which builds the target's environment, is not installed", f"install uv, or {CURE}")
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or _KEPT_PATTERN.fullmatch(name)}
    return Uv(binary, folder, {**kept, "PATH": path, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"})


def _installed_uv() -> str | None:
    from uv import find_uv_bin

    try:
        return find_uv_bin()
    except FileNotFoundError:
        return None


def _search_path(avoided: Sequence[Path]) -> str:
    """PATH without relative entries and the target's folders, pyenv's shims replaced by its installed versions, newest first."""
    entries: list[Path] = []
    for entry in map(Path, os.get_exec_path()):
        if not entry.is_absolute() or any(_within(entry, folder) for folder in avoided):
            continue
        versions = entry.parent / "versions"
        if entry.name == "shims" and versions.is_dir():
            entries += sorted((path / "bin" for path in versions.iterdir()), key=lambda path: _numbers(path.parent.name), reverse=True)
        else:
            entries.append(entry)
    return os.pathsep.join(dict.fromkeys(str(entry) for entry in entries))


def _within(path: Path, folder: Path) -> bool:
    return path.is_relative_to(folder) or path.resolve().is_relative_to(folder.resolve())


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name)) if re.match(r"3\.", name) else ()


def run(uv: Uv, *arguments: str, folder: Path | None = None) -> Ran:
    """Run one uv command without any configuration file. Raises NoEnvironmentError when it takes over SECONDS or cannot start."""
    argv = [uv.binary, *arguments, "--no-config"]
    LOG.debug("running %s", argv)
    try:
        done = subprocess.run(
            argv, cwd=folder or uv.folder, env=dict(uv.env), capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS, umask=0o022
        )
    except subprocess.TimeoutExpired as error:
        raise NoEnvironmentError(f"uv {arguments[0]} took over {SECONDS} seconds", CURE) from error
    except OSError as error:
        raise NoEnvironmentError(f"uv cannot be started: {error}", CURE) from error
    return Ran(done.returncode == 0, done.stdout.decode(errors="replace"), _reason(done.stderr.decode(errors="replace")))


def _reason(stderr: str) -> str:
    start = re.search(r"^(error:|\s*\u00d7)", stderr, re.MULTILINE)
    text = re.sub(r"^\s*(error:|cause:|hint:|\u00d7|╰─▶|├─▶|│)", " ", stderr[start.start() :] if start else stderr, flags=re.MULTILINE)
    text = re.sub(r"://[^/\s@]*@", "://", text)
    text = re.sub(r"\s+", " ", "".join(char if char.isprintable() else " " for char in text)).strip()
    return text if len(text) <= 600 else text[:599] + "…"

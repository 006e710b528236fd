"""The first rung: bubblewrap, which gives the command namespaces of its own. Version 0.7 or newer.

The command sees /usr, a few files of /etc, its copy and what it was given to read; no network but its own loopback; no process but its
own. Points that are easy to lose: bwrap itself gets a clean environment (its own stays readable as /proc/1/environ); /proc is read-only,
because under root the files of /proc/sys belong to the command and bwrap leaves them writable; so are / and /dev, which bwrap makes as
tmpfs without a size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePath

from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox import process, seccomp
from fixbot.agent.sandbox.base import Command, Outcome
from fixbot.agent.sandbox.direct import check_folder

_HOME, _TMP = Path("/tmp/home"), Path("/tmp")
_UID = 1000
_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SETTINGS = (
    "ld.so.cache", "alternatives", "localtime", "mime.types", "services", "protocols", "os-release", "ssl/certs", "ssl/openssl.cnf",
    "pki/tls/certs", "pki/ca-trust/extracted",
)  # fmt: skip
_MADE = {
    "passwd": f"root:x:0:0:root:/:/bin/sh\nfixbot:x:{_UID}:{_UID}:fixbot:{_HOME}:/bin/sh\n",
    "group": f"root:x:0:\nfixbot:x:{_UID}:\n",
    "hosts": "127.0.0.1 localhost fixbot\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_FIXED = (
    "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--die-with-parent",
    "--new-session", "--cap-drop", "ALL", "--uid", str(_UID), "--gid", str(_UID), "--hostname", "fixbot", "--clearenv",
    "--ro-bind", "/usr", "/usr",
)  # fmt: skip
_RESERVED = ("/usr", "/proc", "/dev", "/etc", "/sys", *(f"/{name}" for name in _SYSTEM))
_NEWER = "Install bubblewrap 0.7 or newer."
_CONTAINER = "in a container start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
_PROFILE = (
    "On Ubuntu let bwrap make user namespaces: `abi <abi/4.0>,`, `include <tunables/global>` and `profile bwrap /usr/bin/bwrap "
    "flags=(unconfined) { userns, }`, each on its own line, in /etc/apparmor.d/bwrap, then `sudo apparmor_parser -r "
    "/etc/apparmor.d/bwrap`; or `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`; " + _CONTAINER + "."
)
_CURES = (  # (words in bwrap's message, cure), the first that fits
    ("Unknown option", _NEWER),
    ("RTM_NEWADDR", _PROFILE),
    ("setting up uid map", _PROFILE),
    ("max_*_namespaces", "Run `sudo sysctl user.max_user_namespaces=15000`."),
    ("No permissions to create", f"Run `sudo sysctl kernel.unprivileged_userns_clone=1` (Debian); {_CONTAINER}."),
    ("Creating new namespace failed", f"Run `sudo sysctl kernel.unprivileged_userns_clone=1` (Debian); {_CONTAINER}."),
    ("Failed to make / slave", _PROFILE),
    ("mount proc", "In a container start it with --security-opt systempaths=unconfined."),
)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """Runs commands in bubblewrap. ``program`` is the absolute path of bwrap; ``find`` gives one that the target cannot have made."""

    program: Path

    @property
    def name(self) -> str:
        """The rung's name."""
        return "bwrap"

    @property
    def moves(self) -> bool:
        """It can show folders elsewhere than where they are."""
        return True

    def run(self, command: Command) -> Outcome:
        """Run to the end or to a limit. Raises SandboxError, with the cure where one is known, if bwrap cannot set the sandbox up."""
        check_folder(command)
        with ExitStack() as stack:
            reading, writing = os.pipe()
            stack.callback(os.close, reading)
            files = {name: process.memory_file(stack, text.encode()) for name, text in _MADE.items()}
            code = seccomp.program(strict=False)
            handles = [writing, *files.values()]
            options = _options(command, files)
            if code:
                handles.append(process.memory_file(stack, code))
                options += ["--seccomp", str(handles[-1])]
            else:
                options.append("--disable-userns")
            if any("\0" in option for option in options):
                raise SandboxError("a NUL character in a path or in the environment")
            handles.append(process.memory_file(stack, b"".join(os.fsencode(option) + b"\0" for option in options)))
            argv = [str(self.program), "--args", str(handles[-1]), "--json-status-fd", str(writing), "--", *command.argv]
            launch = process.Launch(argv, {"PATH": process.PATH}, Path("/"), files=handles, shell_codes=True)
            try:
                outcome = process.run(launch, command.limits, command.on_event)
            finally:
                os.close(writing)
            with open(reading, "rb", closefd=False) as file:
                return _judge(command, outcome, started=b'"exit-code"' in file.read())


def _judge(command: Command, outcome: Outcome, *, started: bool) -> Outcome:
    """Tell an end of bwrap from an end of the command: only for the latter does bwrap report an exit code."""
    if started or outcome.limit is not None or (outcome.exit_code or 0) < 0:
        return outcome
    said = outcome.output.strip()
    if said.startswith("bwrap: execvp"):
        return Outcome(127, said.removeprefix("bwrap: execvp ") + "\n", outcome.seconds)
    raise SandboxError(f"bubblewrap could not set up a sandbox for {command.argv[0]}: {said[-500:]}", cure_for(said))


def cure_for(said: str) -> str:
    """What to do about an error message of bwrap, empty if not known."""
    return next((cure for words, cure in _CURES if words in said), "")


def find(target: Path, path: str | None = None) -> Path:
    """The first bwrap in an absolute folder of PATH that is not, and does not lead, into the target. Raises SandboxError."""
    roots = {Path(os.path.abspath(target)), target.resolve()}
    for folder in os.get_exec_path() if path is None else path.split(os.pathsep):
        place = Path(folder, "bwrap")
        if place.is_absolute() and os.path.isfile(place) and os.access(place, os.X_OK):
            ways = (Path(os.path.abspath(place)), Path(folder).resolve() / "bwrap", place.resolve())
            if not any(way.is_relative_to(root) for way in ways for root in roots):
                return place.resolve()
    raise SandboxError("bubblewrap (bwrap) is not installed", "Install the package bubblewrap, e.g. `sudo apt install bubblewrap`.")


def _options(command: Command, files: dict[str, int]) -> list[str]:
    """The options of bwrap, all but those that hold descriptors of its own."""
    size = str(command.limits.tmp_size)
    options = [*_FIXED, *_system()]
    for name, handle in files.items():
        options += ["--ro-bind-data", str(handle), f"/etc/{name}"]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):
        options += ["--perms", "1777", "--size", size, "--tmpfs", folder]
    options += ["--dir", str(_HOME), "--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--dir", "/run"]
    for name, host, inside in sorted(_binds(command), key=lambda bind: len(bind[2].parts)):
        options += [name, str(host), str(inside)]
    for folder in ("/proc", "/dev", "/"):
        options += ["--remount-ro", folder]
    for name, value in process.environment(command, _HOME, _TMP).items():
        options += ["--setenv", name, value]
    return [*options, "--chdir", str(command.mount / command.cwd)]


def _system() -> Iterator[str]:
    """Bind or link the folders that programs and libraries are in, and the public files of /etc."""
    for name in _SYSTEM:
        place = Path("/", name)
        if place.is_symlink():
            yield from ("--symlink", os.readlink(place), str(place))
        elif place.is_dir():
            yield from ("--ro-bind", str(place), str(place))
    for name in _SETTINGS:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _binds(command: Command) -> Iterator[tuple[str, Path, PurePath]]:
    """(option, host path, path inside) of the copy and of what may be read besides. Raises SandboxError for places that are taken."""
    yield "--bind", command.root, _free(command.mount)
    for host, inside in command.readable:
        if not (host == inside and host.is_relative_to("/usr")):
            yield "--ro-bind", host, _free(inside)


def _free(inside: Path) -> Path:
    if not inside.is_absolute() or ".." in inside.parts or inside in (Path("/"), _TMP, _HOME):
        raise SandboxError(f"cannot be a place inside the sandbox: {inside}")
    if any(inside.is_relative_to(place) for place in _RESERVED):
        raise SandboxError(f"this place inside the sandbox is taken: {inside}")
    return inside

"""Runs one command under limits, watches it, and leaves no process behind: ``python -I -S launcher.py SPEC_FD``.

It stands between fixbot and every command that is not trusted, in all three rungs, and imports nothing but the standard library. As
subreaper it inherits every daemon that the command leaves, and it ends only when no descendant is left. It dies with fixbot
(``PR_SET_PDEATHSIG``), taking the command with it. SIGTERM means: stop the command now. The answer is one JSON object on a pipe.
"""

from __future__ import annotations

import base64
import ctypes
import errno
import json
import os
import resource
import signal
import stat
import struct
import sys
import time
from contextlib import suppress
from typing import TypedDict

EVENTS_FD = 1000  # where the command finds the event pipe; high, so that it collides with nobody's descriptors
TICK, SWEEP_SECONDS = 0.1, 10  # between two looks at the limits, and for killing all that is left
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 36, 38
# LANDLOCK_ACCESS_FS_*: bit 0 EXECUTE, 1 WRITE_FILE, 2 READ_FILE, 3 READ_DIR, 6 MAKE_CHAR, 11 MAKE_BLOCK, 14 TRUNCATE, 15 IOCTL_DEV
FS_WRITE = (1 << 16) - 1 & ~(1 << 6 | 1 << 11 | 1 << 15)
FS_READ = 1 << 0 | 1 << 2 | 1 << 3
FS_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15


class Spec(TypedDict):
    """What to run and how; ``process.py`` writes it."""

    parent: int
    status: int  # descriptor for the answer
    events: int  # descriptor of the event pipe, -1 for none
    argv: list[str]
    env: dict[str, str]
    directory: str
    rlimits: list[tuple[str, int]]
    groups: list[str]  # cgroup folders to join, and to remove at the end
    counters: list[tuple[str, str, str]]  # (file, key, limit that was hit when its number is above 0)
    processes: int  # watched by looking at /proc; 0 when a cgroup does it
    memory: int  # the same
    landlock: tuple[list[str], list[str], tuple[int, int, int]] | None  # writable, readable, rights to take away
    seccomp: str  # the filter, base64
    scratch: str  # a folder to remove at the end


class Answer(TypedDict):
    """How it went."""

    code: int | None  # of the command, negative for a signal; None when it had to be killed
    limit: str | None
    cpu: float  # seconds, of the command and all that it started
    failed: list[str]  # [stage, reason] when the command could not be started
    clean: bool  # whether every process is gone


libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int, pointer: int = 0) -> None:
    """Call prctl(2)."""
    if libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def drop_capabilities() -> None:
    """Give up every capability for good: root becomes a user who owns root's files."""
    for capability in range(64):
        with suppress(OSError):  # EPERM for an ordinary user, EINVAL past the kernel's last one
            prctl(PR_CAPBSET_DROP, capability)
    if libc.capset(struct.pack("=Ii", 0x20080522, 0), bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def restrict_files(writable: list[str], readable: list[str], handled: tuple[int, int, int]) -> None:
    """Landlock: takes away the ``handled`` rights to files but those to these paths, to TCP ports, to signals and abstract sockets."""
    ruleset = libc.syscall(444, struct.pack("QQQ", *handled), ctypes.c_size_t(24), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for paths, rights in ((writable, FS_WRITE), (readable, FS_READ)):
        for path in paths:
            try:
                handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            allowed = rights if stat.S_ISDIR(os.fstat(handle).st_mode) else rights & FS_FILE
            if libc.syscall(445, ruleset, 1, struct.pack("=Qi", allowed & handled[0], handle), 0) != 0:
                raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
    if libc.syscall(446, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")


def filter_calls(code: bytes) -> None:
    """Load a seccomp filter into this process."""
    memory = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, ctypes.addressof(memory)))  # struct sock_fprog
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program))


def table() -> dict[int, tuple[int, int, int]]:
    """Every process of the host that shows: pid -> (parent, threads, resident pages)."""
    found: dict[int, tuple[int, int, int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
                found[int(name)] = (int(fields[1]), int(fields[17]), int(fields[21]))
    return found


def descendants() -> dict[int, tuple[int, int, int]]:
    """The part of ``table`` that comes from this process, itself left out."""
    everybody = table()
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in everybody.items():
        children.setdefault(parent, []).append(pid)
    found = [os.getpid()]
    for pid in found:  # grows on the way
        found += (child for child in children.get(pid, []) if child not in found)
    return {pid: everybody[pid] for pid in found[1:]}


def limit_resources(spec: Spec) -> None:
    """Set the rlimits, none above what this process may have itself."""
    rlimits = list(spec["rlimits"])
    if spec["processes"] and os.getuid() != 0:  # a stop for what is faster than the watch; the kernel counts all threads of the user
        rlimits.append(("NPROC", 4 * spec["processes"] + sum(threads for _, threads, _ in table().values())))
    for name, value in rlimits:
        which = int(getattr(resource, "RLIMIT_" + name))
        most = resource.getrlimit(which)[1]
        soft, hard = ((number if most == resource.RLIM_INFINITY else min(number, most)) for number in (value, value + (name == "CPU")))
        resource.setrlimit(which, (soft, hard))


def proportional_size(pid: int) -> int:
    """Bytes of memory of a process, shared pages divided among their users."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        return next((1024 * int(line.split()[1]) for line in file if line.startswith(b"Pss:")), 0)
    return 0


def counted(spec: Spec) -> str | None:
    """The limit that the kernel says was hit."""
    for path, key, limit in spec["counters"]:
        with suppress(OSError), open(path) as file:
            if any(line.startswith(key + " ") and int(line.split()[1]) > 0 for line in file):
                return limit
    return None


def exceeded(spec: Spec) -> str | None:
    """The limit that the command is over, by the kernel's counters where cgroups are at work, else by looking at its processes."""
    limit = counted(spec)
    if limit or not (spec["processes"] or spec["memory"]):
        return limit
    family = descendants()
    if spec["processes"] and sum(threads for _, threads, _ in family.values()) > spec["processes"]:
        return "processes"
    resident = sum(pages for _, _, pages in family.values()) * resource.getpagesize()
    over = resident > spec["memory"] > 0 and sum(map(proportional_size, family)) > spec["memory"]  # the exact sum is dear
    return "memory" if over else None


def enter(spec: Spec) -> None:
    """In the child: take on all limits. Raises OSError."""
    os.setsid()
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for folder in spec["groups"]:
        with open(f"{folder}/cgroup.procs", "w") as file:
            file.write("0")
    os.chdir(spec["directory"])
    limit_resources(spec)
    if spec["events"] >= 0:
        if os.path.exists(f"/proc/self/fd/{EVENTS_FD}"):
            raise OSError(errno.EBUSY, f"too many open files, descriptor {EVENTS_FD} is taken")
        os.dup2(spec["events"], EVENTS_FD)
        os.close(spec["events"])
    if spec["landlock"] is not None:
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        restrict_files(*spec["landlock"])
        filter_calls(base64.b64decode(spec["seccomp"]))


def become(argv: list[str], env: dict[str, str]) -> None:
    """Like ``os.execvpe``, which imports a module at this point, when Landlock no longer lets it. Raises OSError."""
    failure = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    for folder in [""] if "/" in argv[0] else [folder + "/" for folder in env["PATH"].split(":") if folder]:
        try:
            os.execve(folder + argv[0], argv, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = error
    raise failure


def start(spec: Spec) -> tuple[int, list[str]]:
    """Fork the command. Returns its pid, and [stage, reason] if it could not be started."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        stage = "setup"
        try:
            enter(spec)
            stage = "exec"
            become(spec["argv"], spec["env"])
        except OSError as error:
            os.write(writing, json.dumps([stage, error.strerror if stage == "exec" else str(error)]).encode())
        finally:
            os._exit(127)
    os.close(writing)
    if spec["events"] >= 0:
        os.close(spec["events"])
    with open(reading, "rb") as file:
        return pid, json.loads(file.read() or "[]")


def sweep(spec: Spec) -> bool:
    """Kill every descendant, daemons too, until none is left."""
    for folder in spec["groups"]:
        for name, value in (("pids.max", "0"), ("cgroup.kill", "1")):
            with suppress(OSError), open(f"{folder}/{name}", "w") as file:
                file.write(value)
    end = time.monotonic() + SWEEP_SECONDS
    while time.monotonic() < end:
        for pid in descendants():
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.002)
    return False


def supervise(spec: Spec) -> Answer:
    """Start the command, wait for its end, a limit or SIGTERM, and clear up."""
    child, failed = start(spec)
    code: int | None = None
    limit: str | None = None
    pause = TICK
    while code is None and limit is None:
        got = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM}, pause)
        if got is not None and got.si_signo == signal.SIGTERM:
            break
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                code = os.waitstatus_to_exitcode(ended[1]) if ended[0] == child else code
        begun = time.monotonic()
        limit = exceeded(spec) if code is None else counted(spec)
        pause = max(TICK, 10 * (time.monotonic() - begun))
    clean = sweep(spec)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"code": code, "limit": limit or counted(spec), "cpu": used.ru_utime + used.ru_stime, "failed": failed, "clean": clean}


def tidy(spec: Spec) -> None:
    """Remove what was made for this command on the host."""
    for folder in spec["groups"]:
        for _ in range(100):
            try:
                os.rmdir(folder)
                break
            except OSError:
                time.sleep(0.01)  # EBUSY until the kernel has let go of the last process
    if spec["scratch"]:
        os.waitpid(os.posix_spawn("/bin/rm", ["rm", "-rf", "--", spec["scratch"]], {}), 0)


def main() -> None:
    """Read the spec, do it, answer."""
    with open(int(sys.argv[1]), "rb") as file:
        spec: Spec = json.load(file)
    os.set_inheritable(spec["status"], False)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP})
    try:
        if os.getppid() == spec["parent"]:
            with suppress(BrokenPipeError):
                os.write(spec["status"], json.dumps(supervise(spec)).encode())
    finally:
        tidy(spec)


if __name__ == "__main__":
    main()

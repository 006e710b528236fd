"""Start a command through ``launcher.py``, read what it says while it runs, stop it at a limit, and tell how it ended."""

from __future__ import annotations

import base64
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox import cgroup
from fixbot.agent.sandbox.base import Command, Limit, Limits, Outcome
from fixbot.agent.sandbox.launcher import EVENTS_FD, SWEEP_SECONDS, Answer, Spec
from fixbot.agent.sandbox.output import HeadTail, Lines

logger = logging.getLogger(__name__)

_LAUNCHER = Path(__file__).with_name("launcher.py")
_GRACE = SWEEP_SECONDS + 5  # seconds that the launcher has to clear up once it was told to stop
_BLOCK = 64 * 1024
_LAST_WORDS: tuple[tuple[str, Limit], ...] = (
    ("MemoryError", "memory"),
    ("OSError: [Errno 12] Cannot allocate memory", "memory"),
    ("OSError: [Errno 27] File too large", "disk"),
    ("OSError: [Errno 28] No space left on device", "disk"),
)
PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Launch:
    """What a rung wants started: the program, its environment and folder, and what the launcher applies to it."""

    argv: Sequence[str]
    env: Mapping[str, str]
    directory: Path
    files: Sequence[int] = ()  # descriptors that it inherits
    landlock: tuple[list[str], list[str], tuple[int, int, int]] | None = None  # writable, readable, rights to take away
    seccomp: bytes = b""
    scratch: Path | None = None  # a folder to remove at the end
    shell_codes: bool = False  # exit code 128 + n stands for signal n


@dataclass(slots=True)
class _Watch:
    """The reading side of a running command."""

    output: HeadTail
    deadline: float
    answer: bytearray = field(default_factory=bytearray)
    lines: Lines = field(default_factory=Lines)
    limit: Limit | None = None


def run(launch: Launch, limits: Limits, on_event: Callable[[bytes], None] | None) -> Outcome:
    """Run it to its end or to a limit; afterwards none of its processes is left. Raises SandboxError, and what ``on_event`` raises."""
    begun = time.monotonic()
    watch = _Watch(HeadTail(limits.output), begun + limits.seconds)
    with ExitStack() as stack:
        output, status, events = (_pipe(stack) for _ in range(3))
        spec = _spec(launch, limits, status[1], events[1] if on_event else -1)
        handle = memory_file(stack, json.dumps(spec).encode())
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(handle)],
            stdin=subprocess.DEVNULL, stdout=output[1], stderr=output[1], cwd="/", start_new_session=True,
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            pass_fds=(handle, status[1], events[1], *launch.files),
        )  # fmt: skip
        try:
            for _, writing in (output, status, events):
                os.close(writing)
            _follow(process, watch, (output[0], status[0], events[0]), limits, on_event)
        finally:
            _end(process)
    return _outcome(launch, limits, watch, process.returncode, time.monotonic() - begun)


def environment(command: Command, home: Path, temporary: Path) -> dict[str, str]:
    """The command's environment, with the places and the event pipe that the sandbox gives it."""
    env = {"PATH": PATH, **command.env, "HOME": str(home), "TMPDIR": str(temporary)}
    env.pop("FIXBOT_EVENTS_FD", None)
    return {**env, "FIXBOT_EVENTS_FD": str(EVENTS_FD)} if command.on_event else env


def memory_file(stack: ExitStack, data: bytes) -> int:
    """A descriptor from which ``data`` can be read, open as long as ``stack``."""
    handle = os.memfd_create("fixbot")
    stack.callback(os.close, handle)
    with open(handle, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """A pipe whose reading end does not block and is closed with ``stack``."""
    reading, writing = os.pipe()
    stack.callback(os.close, reading)
    os.set_blocking(reading, False)
    return reading, writing


def _spec(launch: Launch, limits: Limits, status: int, events: int) -> Spec:
    groups = cgroup.make(limits)
    rlimits = [("CORE", 0), ("FSIZE", limits.file_size), ("CPU", limits.cpu_seconds), ("NOFILE", 4096)]
    if not groups.memory:
        rlimits.append(("AS", limits.memory))
    return {
        "parent": os.getpid(),
        "status": status,
        "events": events,
        "argv": list(launch.argv),
        "env": dict(launch.env),
        "directory": str(launch.directory),
        "rlimits": rlimits,
        "groups": list(groups.folders),
        "counters": list(groups.counters),
        "processes": 0 if groups.processes else limits.processes + cgroup.HELPERS,
        "memory": 0 if groups.memory else limits.memory,
        "landlock": launch.landlock,
        "seccomp": base64.b64encode(launch.seccomp).decode(),
        "scratch": str(launch.scratch or ""),
    }


def _follow(
    process: subprocess.Popen[bytes], watch: _Watch, pipes: tuple[int, int, int], limits: Limits, on_event: Callable[[bytes], None] | None
) -> None:
    """Read until the launcher has ended, which is when its status pipe closes; ask it to stop at a limit."""
    output, status, events = pipes
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe, selectors.EVENT_READ)
        while status in selector.get_map():
            left = watch.deadline + (_GRACE if watch.limit else 0) - time.monotonic()
            if left <= 0 and watch.limit:
                process.kill()
                return
            if left <= 0:
                _stop(process, watch, "time")
                continue
            for key, _ in selector.select(left):
                data = _read(key.fd)
                if data == b"":
                    selector.unregister(key.fd)
                elif data and key.fd == output:
                    watch.output.feed(data)
                elif data and key.fd == status:
                    watch.answer += data
                elif data:
                    _pass_on(process, watch, data, limits, on_event)
    end = time.monotonic() + 1  # only in `none` can a process be left that still writes
    while (data := _read(output)) and time.monotonic() < end:
        watch.output.feed(data)
    while (data := _read(events)) and not watch.limit and time.monotonic() < end + 60:
        _pass_on(process, watch, data, limits, on_event)


def _read(pipe: int) -> bytes | None:
    """What is there, empty at the end, None when there is nothing yet."""
    try:
        return os.read(pipe, _BLOCK)
    except BlockingIOError:
        return None


def _pass_on(
    process: subprocess.Popen[bytes], watch: _Watch, data: bytes, limits: Limits, on_event: Callable[[bytes], None] | None
) -> None:
    lines: Iterable[bytes] = watch.lines.feed(data)
    for line in lines:
        if on_event and watch.limit != "output":
            on_event(line)
    if watch.lines.seen > limits.events and not watch.limit:
        _stop(process, watch, "output")


def _stop(process: subprocess.Popen[bytes], watch: _Watch, limit: Limit) -> None:
    """Have the launcher kill everything, for this reason."""
    watch.limit = limit
    watch.deadline = time.monotonic()
    process.terminate()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Make sure that the launcher is gone, and with it all that it started; after an exception (Ctrl-C) it is still at work."""
    if process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            logger.error("the sandbox launcher did not end in %s seconds and was killed", _GRACE)
            process.kill()
            process.wait()


def _outcome(launch: Launch, limits: Limits, watch: _Watch, returned: int, seconds: float) -> Outcome:
    text = watch.output.text()
    try:
        answer = cast("Answer", json.loads(watch.answer))
    except ValueError:
        if watch.limit:
            return Outcome(None, text, seconds, watch.limit)
        raise SandboxError(f"the sandbox launcher ended with code {returned}: {text[-500:].strip()}") from None
    if answer["failed"]:
        stage, reason = answer["failed"]
        if stage != "exec":
            raise SandboxError(f"the sandbox could not be set up: {reason}")
        return Outcome(127, text + f"{launch.argv[0]}: {reason}\n", seconds)
    if not answer["clean"]:
        logger.error("processes of %s could not be killed in %s seconds", launch.argv[0], SWEEP_SECONDS)
    code = answer["code"]
    if code is not None and launch.shell_codes and 128 < code <= 128 + signal.SIGRTMAX:
        code = 128 - code
    limit = watch.limit or cast("Limit | None", answer["limit"]) or _limit_of(code, answer["cpu"], limits, text)
    return Outcome(None if limit else code, text, seconds, limit)


def _limit_of(code: int | None, cpu: float, limits: Limits, text: str) -> Limit | None:
    """The limit that a command's end gives away: its signal, or the uncaught exception in its last line."""
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu >= limits.cpu_seconds):
        return "time"
    if code == -signal.SIGXFSZ:
        return "disk"
    if not code:
        return None
    last = text.rstrip().rpartition("\n")[2]
    return next((limit for words, limit in _LAST_WORDS if last.startswith(words)), None)

"""What every sandbox promises, and the data that goes in and out of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

MiB = 1024 * 1024

Limit = Literal["time", "memory", "processes", "disk", "output"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for one command and everything that it starts. Times in seconds, sizes in bytes."""

    seconds: float = 900
    cpu_seconds: int = 1800
    memory: int = 4096 * MiB
    processes: int = 512
    file_size: int = 256 * MiB
    tmp_size: int = 1024 * MiB
    output: int = 64 * 1024  # kept of stdout + stderr, half head and half tail; the rest is drained
    events: int = 256 * MiB  # read from the event pipe before the run is stopped


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run in a sandbox.

    ``root`` is a throw-away copy of the repository and the only folder that may be written; the command sees it at ``mount`` (its own
    path where the sandbox cannot move folders; ``Sandbox.moves`` tells) and starts in ``mount / cwd``. ``readable`` are further files
    and folders, as (host path, path inside). ``env`` is the whole environment, nothing is inherited. When ``on_event`` is given, the
    child finds the number of a writable pipe in ``FIXBOT_EVENTS_FD``; each line that it writes there is passed on as bytes.
    """

    argv: Sequence[str]
    root: Path
    mount: Path
    cwd: str = "."
    readable: Sequence[tuple[Path, Path]] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Limits = Limits()
    on_event: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. ``exit_code`` is negative for a signal, None when a limit ended it; ``limit`` names that limit.

    ``output`` is the head and tail of stdout and stderr together, decoded, control characters and escape sequences removed.
    """

    exit_code: int | None
    output: str
    seconds: float
    limit: Limit | None = None


class Sandbox(Protocol):
    """A way to run a command that is not trusted."""

    @property
    def name(self) -> str:
        """``bwrap``, ``landlock`` or ``none``; shown in reports."""
        ...

    @property
    def moves(self) -> bool:
        """Whether ``Command.mount`` and the inside paths of ``Command.readable`` may differ from the host's."""
        ...

    def run(self, command: Command) -> Outcome:
        """Run to the end, or to a limit, and leave no process behind. Raises SandboxError when the sandbox itself cannot start."""
        ...

"""No isolation (``none``): the same limits, output and clean environment, but the command can read and change all that the user can."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath

from fixbot.agent.errors import SandboxError
from fixbot.agent.sandbox import process
from fixbot.agent.sandbox.base import Command, Outcome


class Direct:
    """Runs commands unprotected, in place, with a private HOME and TMPDIR; only for a person's explicit choice."""

    __slots__ = ()

    @property
    def name(self) -> str:
        """The rung's name."""
        return "none"

    @property
    def moves(self) -> bool:
        """It shows every path as it is on the host."""
        return False

    def run(self, command: Command) -> Outcome:
        """Run to the end or to a limit. A daemon of the command is killed unless it kills the launcher first."""
        check_in_place(command)
        scratch = make_scratch()
        launch = process.Launch(
            argv=command.argv,
            env=process.environment(command, scratch / "home", scratch / "tmp"),
            directory=command.root / command.cwd,
            scratch=scratch,
        )
        return process.run(launch, command.limits, command.on_event)


def check_folder(command: Command) -> None:
    """Raise SandboxError for a command whose folders make no sense."""
    cwd = PurePath(command.cwd)
    if cwd.is_absolute() or ".." in cwd.parts:
        raise SandboxError(f"not a folder inside the repository: {command.cwd}")
    if not command.argv or not command.root.is_absolute() or not command.root.is_dir():
        raise SandboxError(f"nothing to run, or no folder to run it in: {command.root}")


def check_in_place(command: Command) -> None:
    """Raise SandboxError for a command that wants folders moved."""
    check_folder(command)
    for host, inside in ((command.root, command.mount), *command.readable):
        if host != inside:
            raise SandboxError(f"this sandbox cannot show {host} as {inside}")


def make_scratch() -> Path:
    """A new folder for HOME and TMPDIR; the launcher removes it."""
    scratch = Path(tempfile.mkdtemp(prefix="fixbot-")).resolve()
    for name in ("home", "tmp"):
        (scratch / name).mkdir()
    return scratch

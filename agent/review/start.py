"""Which run to review, and where: on the screen, or by questions and answers."""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console

from fixbot.agent import pipeline
from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.errors import LedgerError, UsageError
from fixbot.agent.history import finished_run
from fixbot.agent.report.output import progress_of
from fixbot.agent.report.text import inert
from fixbot.agent.result import RunResult, result_from_json
from fixbot.agent.review.desk import open_desk
from fixbot.agent.review.plain import review_plainly
from fixbot.agent.review.trials import Trials
from fixbot.agent.store import Ledger
from fixbot.patchers.model.keys import Key


def wants_plain() -> bool:
    """Whether the terminal, if there is one, cannot show a screen."""
    return not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb"


def check_screen() -> None:
    """Raises UsageError where the library for the screen is not installed."""
    if importlib.util.find_spec("textual") is None:
        raise UsageError("the review screen needs textual", "pip install 'fixbot[tui]', or go without: fixbot review --plain")


def named_run(target: str) -> RunResult | None:
    """The run that a target names; None for the path of a repository. Raises LedgerError."""
    return None if Path(target).exists() else finished_run(target)


def last_run(path: Path) -> RunResult | None:
    """The newest finished run on the commit that a repository is at. Raises FixbotError."""
    repository, head = str(ws.locate(path)), ws.head(path)
    with closing(Ledger(ws.state_dir() / "ledger.sqlite")) as ledger:
        found = next((one for one in ledger.runs(repository) if one.report is not None and one.base == head), None)
    try:
        return None if found is None or found.report is None else result_from_json(found.report)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the report of run {found.id if found else ''} cannot be read: {error}", "run fixbot again") from error


def new_run(path: Path, settings: Settings, key: Key, confirm: Callable[[str], bool], *, quiet: bool) -> RunResult:
    """Run fixbot first, without a branch. Raises FixbotError."""
    if not confirm(f"There is no finished run on HEAD of {path}. Start one?"):
        raise UsageError("there is nothing to review", f"fixbot run {path}, or name a run: fixbot report --list")
    with progress_of(quiet) as emit:
        return pipeline.run(path, settings, emit, deliver=False, key=key)


class _Log(io.TextIOBase):
    """Standard output where it may be the log of a GitHub runner: none of its lines is a command to that."""

    def write(self, text: str) -> int:
        """Written at once: somebody may wait for the question."""
        sys.stdout.write(inert(text))
        sys.stdout.flush()
        return len(text)


def _console() -> Console:
    stream: Any = sys.stdout
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    at_terminal = bool(stream.isatty())
    return Console(file=None if at_terminal else cast("TextIO", _Log()), markup=False, highlight=False, width=None if at_terminal else 140)


def review(result: RunResult, settings: Settings, key: Key, *, plain: bool, quiet: bool) -> None:
    """Review a run until the person quits. Raises FixbotError."""
    console = _console()
    with open_desk(result, settings, key) as desk, closing(Trials(desk)) as trials:
        if not desk.review.entries:
            console.print("There is nothing to review: no findings.")
        elif plain:
            review_plainly(desk, trials, console, sys.stdin, quiet=quiet)
        else:
            from fixbot.agent.review.app import ReviewApp

            ReviewApp(desk, trials).run()
            console.print(f"saved; go on with: fixbot review {result.run}")

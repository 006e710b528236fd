"""Finished runs, as the ledger remembers them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from fixbot.agent.decisions import Figures, figures
from fixbot.agent.errors import LedgerError
from fixbot.agent.report.text import line
from fixbot.agent.result import RunResult, Status, result_from_json
from fixbot.agent.store import Ledger
from fixbot.agent.workspace import state_dir


def finished_run(run: str) -> RunResult:
    """A run's result by its id, the beginning of it, or ``last``. Raises LedgerError."""
    with closing(Ledger(state_dir() / "ledger.sqlite")) as ledger:
        record = ledger.find(run)
    if record.report is None:
        raise LedgerError(f"run {record.id} did not end", "go on with it: fixbot run --resume")
    try:
        return result_from_json(record.report)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the report of run {record.id} cannot be read: {error}", "run fixbot again") from error


def run_lines() -> Iterator[str]:
    """A line a run, newest first."""
    with closing(Ledger(state_dir() / "ledger.sqlite")) as ledger:
        for record in ledger.runs():
            day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(record.started))
            words = record.status
            if record.report:
                result = result_from_json(record.report)
                words = f"{result.count(Status.FIXED)} of {len(result.outcomes)} fixed"
            yield f"{record.id}  {day}  {words:<16}  {line(record.repository)}"


def rule_figures() -> dict[str, Figures]:
    """How the findings of each rule were decided, in all repositories of this user."""
    with closing(Ledger(state_dir() / "ledger.sqlite")) as ledger:
        return figures(ledger.decisions())

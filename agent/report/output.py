"""Where reports go: a terminal, a file or a pipe, in the format that was asked for."""

from __future__ import annotations

import io
import logging
import os
import secrets
import stat
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fixbot.agent.errors import UsageError
from fixbot.agent.options import Format

if TYPE_CHECKING:
    from rich.console import Console

    from fixbot.agent.events import Emit
    from fixbot.agent.result import Outcome, RunResult
    from fixbot.detectors.finding import Finding
    from fixbot.detectors.scan import Scan


class LogFormatter(logging.Formatter):
    """Log lines without control characters and workflow commands, whatever text of others is in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines where there is a traceback."""
        from fixbot.agent.report.text import clean, inert

        return inert(clean(super().format(record)))


@contextmanager
def progress_of(quiet: bool) -> Generator[Emit]:
    """What shows a run's events on standard error while they happen; nothing with ``quiet``."""
    if quiet:
        yield lambda event: None
        return
    from rich.console import Console

    from fixbot.agent.report.progress import progress

    with progress(Console(stderr=True, markup=False, highlight=False)) as emit:
        yield emit


@contextmanager
def output(file: Path | None) -> Generator[Console]:
    """A console on standard output or a file. Raises UsageError for a file that cannot be written."""
    from rich.console import Console

    from fixbot.agent.report.text import inert

    if file is None and sys.stdout.isatty():
        yield Console(markup=False, highlight=False)
        return
    drawn = io.StringIO()
    yield Console(file=drawn, markup=False, highlight=False, width=140)
    write(file, inert(drawn.getvalue()).removesuffix("\n"))


@contextmanager
def _opened(file: Path) -> Generator[Any]:
    try:
        with open(file, "w", encoding="utf-8") as stream:
            yield stream
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None


def write(file: Path | None, text: str, *, commands: bool = False) -> None:
    """A text to standard output or a file. ``commands``: its lines are meant to be workflow commands. Raises UsageError."""
    if file is not None:
        with _opened(file) as stream:
            stream.write(text + "\n")
    elif text:
        _print((text + "\n").encode("utf-8", "backslashreplace"), guard=not commands)


def write_diff(file: Path | None, text: str) -> None:
    """Byte for byte, as ``git apply`` needs it; only a terminal gets it without control characters."""
    from fixbot.agent.report.text import clean

    if file is not None:
        with _opened(file) as stream:
            stream.buffer.write(text.encode("utf-8", "surrogateescape"))
    elif sys.stdout.isatty():
        typer.echo(clean(text), nl=False)
    else:
        _print(text.encode("utf-8", "surrogateescape"), guard=True)


def _print(data: bytes, *, guard: bool) -> None:
    """Bytes to standard output as they are.

    Where that may be the log of a GitHub runner and a line would be a command to it, they stand between two lines that switch commands
    off and on again: ``git apply`` and Markdown take no harm from these.
    """
    from fixbot.agent.report.text import inert

    text = data.decode("utf-8", "replace").replace("\r", "\n")
    if guard and os.environ.get("GITHUB_ACTIONS") == "true" and not _is_file(sys.stdout) and inert(text) != text:
        mark = secrets.token_hex(16).encode()
        data = b"::stop-commands::%b\n%b\n::%b::\n" % (mark, data, mark)
    typer.echo(data, nl=False)


def _is_file(stream: Any) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def render_check(output_format: Format, found: Scan) -> Iterator[str]:
    """A scan in one of the formats for programs."""
    from fixbot.agent.report import formats

    if output_format is Format.JSON:
        yield formats.dumps(formats.check_json(found))
    else:
        yield from _render_findings(output_format, found.findings, found.files)


def _render_findings(output_format: Format, findings: Sequence[Finding], files: Sequence[str]) -> Iterator[str]:
    from fixbot.agent.report import formats

    match output_format:
        case Format.JSON_LINES:
            yield from formats.json_lines(findings)
        case Format.GITHUB:
            yield from formats.github(findings)
        case Format.JUNIT:
            yield formats.junit(findings, files)
        case Format.SARIF:
            from fixbot.agent.report.sarif import sarif

            yield formats.dumps(sarif(findings))
        case _:
            yield from formats.concise(findings)


def print_result(output_format: Format, file: Path | None, result: RunResult) -> None:
    """A run in any format, to standard output or a file. Raises UsageError."""
    from fixbot.agent.report import formats
    from fixbot.agent.result import Status

    match output_format:
        case Format.FULL:
            from fixbot.agent.report.terminal import print_run

            with output(file) as console:
                print_run(console, result)
        case Format.JSON:
            write(file, formats.dumps(result.to_json()))
        case Format.JSON_LINES:
            write(file, formats.dumps({"event": "finished", "report": result.to_json()}, indent=None))
        case _:
            shown = [outcome for outcome in result.outcomes if outcome.status is not Status.SUPPRESSED]
            findings = [_annotated(outcome, result) if output_format is Format.GITHUB else outcome.finding for outcome in shown]
            write(file, "\n".join(_render_findings(output_format, findings, ())), commands=output_format is Format.GITHUB)


def _annotated(outcome: Outcome, result: RunResult) -> Finding:
    """The finding as an annotation shows it: one that was fixed is no more than a notice."""
    from fixbot.agent.result import Status
    from fixbot.detectors.finding import Severity

    if outcome.status is not Status.FIXED:
        return outcome.finding
    where = f"on branch {result.branch}" if result.branch else f"in run {result.run}"
    return replace(outcome.finding, severity=Severity.LOW, message=f"fixed {where}: {outcome.finding.message}")

"""Bug reports in Markdown, by people or tools: read into entries, each with the places, the code and the words that it gives.

A report is hostile: nothing in it is run, opened or trusted; its paths are only ever compared with the project's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fixbot.detectors.engines.report_entries import Entry, entries
from fixbot.detectors.engines.report_structure import sections
from fixbot.detectors.engines.report_text import mend

MAX_SIZE = 1024 * 1024
MAX_LINES = 20_000
MAX_ENTRIES = 2000


class ReportError(Exception):
    """A report that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class BugReport:
    """A report. ``name`` is the file's name, without its folder."""

    name: str
    entries: tuple[Entry, ...]


def read_report(path: Path) -> BugReport:
    """Read a report file. Raises ReportError: unreadable, no text, over 1 MiB, 20,000 lines or 2,000 entries."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise ReportError(f"it cannot be read: {error.strerror}") from None
    return parse_report(data, path.name)


def parse_report(data: bytes, name: str) -> BugReport:
    """The report that some bytes are. Raises ReportError."""
    if len(data) > MAX_SIZE:
        raise ReportError("it is larger than 1 MiB")
    if b"\0" in data and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise ReportError("it is no text: it contains NUL bytes")
    text = mend(data)
    if text.count("\n") > MAX_LINES:
        raise ReportError(f"it has more than {MAX_LINES:,} lines")
    found = tuple(entries(list(sections(text))))
    if len(found) > MAX_ENTRIES:
        raise ReportError(f"it has more than {MAX_ENTRIES:,} entries")
    return BugReport("".join(sign for sign in name if sign.isprintable()), found)

"""Bug reports named on the command line, read and added to a scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fixbot.agent.errors import UsageError
from fixbot.detectors.engines.bug_report import BugReport, ReportError, read_report
from fixbot.detectors.engines.report_findings import add_reports
from fixbot.detectors.project import Project
from fixbot.detectors.scan import Options, Scan


def with_reports(found: Scan, project: Project, files: Sequence[Path], options: Options) -> Scan:
    """A scan of a project with the entries of report files added. Raises UsageError for a file that cannot be used."""
    return add_reports(found, project, list(_read(files)), options)


def _read(files: Sequence[Path]) -> Iterator[BugReport]:
    names: set[str] = set()
    for path in files:
        try:
            report = read_report(path)
        except ReportError as error:
            raise UsageError(f"the bug report {path} cannot be used: {error}", "give a Markdown file") from None
        if report.name in names:
            raise UsageError(f"two bug reports are named {report.name}: their entries could not be told apart", "rename one of them")
        names.add(report.name)
        yield report

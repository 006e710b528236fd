"""``fixbot check``: scan a folder as it stands, inside or outside git."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.decisions import Decision, honour, in_force
from fixbot.agent.errors import RepositoryError, UsageError
from fixbot.agent.events import Emit, Progress
from fixbot.agent.focus import NO_FOCUS, Focus, changed_below, with_extra
from fixbot.agent.store import Ledger
from fixbot.detectors.engines.ruff import EngineError
from fixbot.detectors.project import Project, discover
from fixbot.detectors.scan import Options, Scan, scan


@dataclass(frozen=True, slots=True)
class Request:
    """What to check and what to leave out of the answer."""

    path: Path
    settings: Settings
    focus: Focus = NO_FOCUS


def check(request: Request, emit: Emit) -> tuple[Scan, Path]:
    """The scan of a folder, and the folder that its paths count from. Raises FixbotError."""
    root, settings, focus = request.path.resolve(), request.settings, request.focus
    only = root.name if root.is_file() else None
    root = root.parent if only else root
    listed = ws.list_files(root)
    project = discover(root, [only] if only else listed, settings.exclude)
    options = Options(
        select=settings.select,
        ignore=settings.ignore,
        jobs=settings.jobs,
        cache=ws.state_dir() / "scan.sqlite" if settings.cache else None,
        baseline=focus.known,
        changed=changed_below(root, focus.changed_since) if focus.changed_since else None,
    )
    try:
        found = scan(project, options, lambda done, total: emit(Progress("scan", done, total)))
    except EngineError as error:
        raise UsageError(str(error), "reinstall fixbot") from error
    if settings.bug_report:
        from fixbot.agent.bug_reports import with_reports

        found = with_reports(found, project, settings.bug_report, options)
    found = with_extra(found, focus, options)
    return honour(found, _decided(root, found, project)), root


def _decided(root: Path, found: Scan, project: Project) -> dict[str, Decision]:
    """What people decided about the findings; nothing outside git, or where no run or review ever was."""
    path = ws.state_dir() / "ledger.sqlite"
    if not found.findings or not path.exists():
        return {}
    try:
        repository = str(ws.locate(root))
    except RepositoryError:
        return {}
    with closing(Ledger(path)) as ledger:
        return in_force(found.findings, ledger.decisions(repository), project.read)

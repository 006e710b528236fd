"""``fixbot check``: scan a folder as it stands, inside or outside git, or look at some files of a project only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
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
    """What to check and what to leave out of the answer. ``paths``: one folder, or files and folders of one project."""

    paths: tuple[Path, ...]
    settings: Settings
    focus: Focus = NO_FOCUS


def check(request: Request, emit: Emit) -> tuple[Scan, Path]:
    """The scan, and the folder that its paths count from. Raises FixbotError.

    Rules about the whole project see all of it; the answer is about the paths that were asked for.
    """
    settings, focus = request.settings, request.focus
    root, only = _extent(request.paths)
    listed = ws.list_files(root)
    if only:
        files = [path for path in only if (root / path).is_file()]
        listed = files if listed is None and len(files) == len(only) else None if listed is None else [*listed, *files]
    project = discover(root, listed, settings.exclude)
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
    found = _narrowed(found, only) if only else found
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


def place(paths: Sequence[Path]) -> Path:
    """The path whose settings count: the only one, or the folder scanned for all. Raises UsageError for one that is not there."""
    for path in paths:
        if not path.exists():
            raise UsageError(f"there is no {path}")
    return paths[0] if len(paths) == 1 else _extent(paths)[0]


def _extent(paths: Sequence[Path]) -> tuple[Path, tuple[str, ...]]:
    """The folder to scan, and what to look at in it, as paths relative to it; nothing means all of it.

    Files, and several folders, belong to the repository that holds them; outside of git to the folder that they have in common.
    """
    places = [path.parent.resolve() / path.name if path.is_file() else path.resolve() for path in paths]
    if len(places) == 1 and places[0].is_dir():
        return places[0], ()
    folder = Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))
    try:
        root = ws.locate(folder).resolve()
    except RepositoryError:
        root = folder
    if not folder.is_relative_to(root):
        root = folder  # below the folder of a bare repository
    return root, () if root in places else tuple(place.relative_to(root).as_posix() for place in places)


def _narrowed(found: Scan, only: Sequence[str]) -> Scan:
    folders = tuple(f"{path}/" for path in only)

    def asked(path: str) -> bool:
        return path in only or path.startswith(folders)

    return replace(
        found,
        findings=tuple(one for one in found.findings if asked(one.path)),
        suppressed=tuple(one for one in found.suppressed if asked(one.path)),
        skipped=tuple(one for one in found.skipped if asked(one.path)),
        files=tuple(path for path in found.files if asked(path)),
    )


def in_repository(found: Scan, root: Path) -> Scan:
    """The same with paths as the repository has them, where ``root`` is a folder in it: what code scanning and annotations go by."""
    try:
        prefix = root.relative_to(ws.locate(root)).as_posix()
    except (RepositoryError, ValueError):
        return found
    if prefix == ".":
        return found
    findings = tuple(
        replace(one, path=f"{prefix}/{one.path}", related=tuple(replace(place, path=f"{prefix}/{place.path}") for place in one.related))
        for one in found.findings
    )
    return replace(found, findings=findings)

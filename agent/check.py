"""``fixbot check``: scan a folder as it stands, inside or outside git."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from fixbot.agent import workspace as ws
from fixbot.agent.config import Settings
from fixbot.agent.errors import UsageError
from fixbot.agent.events import Emit, Progress
from fixbot.agent.report.sarif import read_sarif
from fixbot.detectors.engines.ruff import EngineError
from fixbot.detectors.finding import with_fingerprints
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, Scan, scan


@dataclass(frozen=True, slots=True)
class Request:
    """What to check and what to leave out of the answer."""

    path: Path
    settings: Settings
    changed_since: str | None = None
    baseline: Path | None = None
    sarif: tuple[Path, ...] = ()


def check(request: Request, emit: Emit) -> tuple[Scan, Path]:
    """The scan of a folder, and the folder that its paths count from. Raises FixbotError."""
    root, settings = request.path.resolve(), request.settings
    only = root.name if root.is_file() else None
    root = root.parent if only else root
    listed = ws.list_files(root)
    project = discover(root, [only] if only else listed, settings.exclude)
    options = Options(
        select=settings.select,
        ignore=settings.ignore,
        jobs=settings.jobs,
        cache=ws.state_dir() / "scan.sqlite" if settings.cache else None,
        baseline=_fingerprints(request.baseline) if request.baseline else frozenset(),
        changed=_changed(root, request.changed_since) if request.changed_since else None,
    )
    try:
        found = scan(project, options, lambda done, total: emit(Progress("scan", done, total)))
    except EngineError as error:
        raise UsageError(str(error), "reinstall fixbot") from error
    if settings.bug_report:
        from fixbot.agent.bug_reports import with_reports

        found = with_reports(found, project, settings.bug_report, options)
    return _with_sarif(found, request.sarif, options), root


def _changed(root: Path, revision: str) -> dict[str, list[tuple[int, int]]]:
    """Changed lines by path relative to ``root``."""
    prefix = root.relative_to(ws.locate(root)).as_posix().removeprefix(".")
    start = f"{prefix}/" if prefix else ""
    return {path.removeprefix(start): lines for path, lines in ws.changed_lines(root, revision).items() if path.startswith(start)}


def _fingerprints(path: Path) -> frozenset[str]:
    try:
        return frozenset(str(entry["fingerprint"]) for entry in json.loads(path.read_bytes())["findings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the baseline {path} is no JSON report of fixbot: {type(error).__name__}: {error}",
            f"make one: fixbot check --output-format json --output-file {path}",
        ) from None


def _with_sarif(found: Scan, files: tuple[Path, ...], options: Options) -> Scan:
    if not files:
        return found
    more = [one for one in with_fingerprints(one for path in files for one in read_sarif(path)) if one.fingerprint not in options.baseline]
    both = sorted((*found.findings, *more), key=lambda one: (one.path, one.span, one.rule))
    return replace(found, findings=tuple(both))

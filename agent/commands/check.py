"""``fixbot check``: detect only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from fixbot.agent.options import (
    BaselineFile,
    BugReport,
    ChangedSince,
    ConfigFile,
    ExitZero,
    Format,
    Ignore,
    Isolated,
    Jobs,
    NoCache,
    OutputFile,
    OutputFormat,
    PathArguments,
    Quiet,
    SarifIn,
    Select,
    split,
)
from fixbot.agent.report.output import output, progress_of, render_check, write


def check(
    paths: PathArguments = None,
    select: Select = None,
    ignore: Ignore = None,
    output_format: OutputFormat = Format.FULL,
    output_file: OutputFile = None,
    config: ConfigFile = None,
    isolated: Isolated = False,
    jobs: Jobs = None,
    no_cache: NoCache = False,
    changed_since: ChangedSince = None,
    baseline: BaselineFile = None,
    sarif_in: SarifIn = None,
    bug_report: BugReport = None,
    exit_zero: ExitZero = False,
    quiet: Quiet = False,
) -> None:
    """Detect only; nothing is written.

    Reads tracked and untracked files, not ignored ones; a folder outside git is read whole. Given files, or several folders, it answers
    about these; rules about the whole project still see all of it.
    """
    from fixbot.agent.check import Request, in_repository, place
    from fixbot.agent.check import check as run_check
    from fixbot.agent.config import settings_for
    from fixbot.agent.focus import load_focus

    flags: dict[str, Any] = {"select": split(select), "ignore": split(ignore), "jobs": jobs, "cache": False if no_cache else None}
    flags["bug_report"] = tuple(bug_report or ())
    targets = tuple(paths or (Path(),))
    settings = settings_for(place(targets), flags, config, isolated)
    focus = load_focus(changed_since, baseline, sarif_in or ())
    with progress_of(quiet) as emit:
        found, root = run_check(Request(targets, settings, focus), emit)
    if output_format is Format.FULL:
        from fixbot.agent.report.terminal import print_check

        with output(output_file) as console:
            print_check(console, found, root)
    else:
        found = in_repository(found, root) if output_format in (Format.GITHUB, Format.SARIF) else found
        write(output_file, "\n".join(render_check(output_format, found)), commands=output_format is Format.GITHUB)
    raise typer.Exit(1 if found.findings and not exit_zero else 0)

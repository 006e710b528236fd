"""``fixbot apply``: proven fixes into the work tree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def apply(
    run: Annotated[str, typer.Argument(help="A run's id or its beginning; `last` for the newest.")],
    findings: Annotated[list[str] | None, typer.Argument(help="Fingerprints (or their beginnings); default: all that are proven.")] = None,
    path: Annotated[Path | None, typer.Option("--path", help="The work tree; default: the run's repository.")] = None,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Apply over uncommitted changes.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print the change, write nothing.")] = False,
) -> None:
    """Apply proven fixes of a finished run to the work tree."""
    from fixbot.agent.apply import apply_run

    for text in apply_run(run, findings or [], path, allow_dirty=allow_dirty, dry=diff):
        typer.echo(text, nl=not text.endswith("\n"))

"""The command line's options that several commands share, and those of the model."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fixbot.agent.scripted import Script


class Format(StrEnum):
    """Output formats."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    JSON_LINES = "json-lines"
    SARIF = "sarif"
    GITHUB = "github"
    JUNIT = "junit"


PathArgument = Annotated[Path, typer.Argument(help="The repository, or a folder in it.", show_default="this folder")]
PathArguments = Annotated[
    list[Path] | None, typer.Argument(metavar="PATH", help="The repository, a folder in it, or files.", show_default="this folder")
]
Select = Annotated[list[str] | None, typer.Option("--select", help="Only these rules or groups (comma-separated or repeated).")]
Ignore = Annotated[list[str] | None, typer.Option("--ignore", help="Not these rules or groups.")]
OutputFormat = Annotated[Format, typer.Option("--output-format", help="How to print.", envvar="FIXBOT_OUTPUT_FORMAT")]
OutputFile = Annotated[Path | None, typer.Option("--output-file", "-o", help="Write there instead of to standard output.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", envvar="FIXBOT_CONFIG", help="Settings file to use instead of the repository's pyproject.toml.")
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Ignore the repository's own settings.")]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Processes for the scan.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Scan every file anew.")]
ChangedSince = Annotated[
    str | None,
    typer.Option("--changed-since", metavar="REV", envvar="FIXBOT_CHANGED_SINCE", help="Only findings on lines changed since a revision."),
]
BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", envvar="FIXBOT_BASELINE", help="JSON report whose findings are not reported again.")
]
SarifIn = Annotated[
    list[Path] | None, typer.Option("--sarif-in", envvar="FIXBOT_SARIF_IN", help="Also report the results of this SARIF file.")
]
BugReport = Annotated[
    list[Path] | None, typer.Option("--bug-report", metavar="FILE", help="Also take the bugs that this Markdown report describes.")
]
ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even if findings are left.")]
Python = Annotated[Path | None, typer.Option("--python", help="Interpreter that has the repository's dependencies.")]
SandboxName = Annotated[str | None, typer.Option("--sandbox", help="auto, bwrap, landlock; none runs the tests unprotected.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

ModelName = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Model to ask where no codemod helps.")]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="OpenAI-compatible endpoint [default: OpenAI's]. Its key: FIXBOT_API_KEY."),
]
MaxCost = Annotated[float | None, typer.Option("--max-cost", metavar="USD", help="Never spend more on the model in this run.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", help="Never use more tokens in this run, prompts and replies.")]
Candidates = Annotated[int | None, typer.Option("--candidates", help="Fixes to ask for; the best proven one is kept [default: 1].")]
Scripted = Annotated[
    list[Script] | None,
    typer.Option("--scripted", help="Take a model's answers from the repositories' replies of this kind (repeatable, or all)."),
]
Proof = Annotated[bool, typer.Option("--proof", help="Let the model write a failing test for codemod fixes, too.")]
Record = Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Write all questions and answers there, without secrets.")]
ReplayFile = Annotated[
    Path | None, typer.Option("--replay", metavar="FILE", help="Take the model's answers from a recording; ask no endpoint.")
]


def split(values: Sequence[str] | None) -> tuple[str, ...]:
    """The values of an option that takes several, separated by commas or repeated."""
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())

"""``fixbot eval``: measure fixbot on repositories with known bugs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fixbot.agent.credentials import CREDENTIALS
from fixbot.agent.errors import UsageError
from fixbot.agent.options import (
    BaseUrl,
    Candidates,
    ConfigFile,
    Format,
    MaxCost,
    MaxTokens,
    ModelName,
    Python,
    Quiet,
    SandboxName,
    Scripted,
)
from fixbot.agent.report.output import output, progress_of

if TYPE_CHECKING:
    from fixbot.agent.scripted import Script


def evaluate(
    repositories: Annotated[list[Path], typer.Argument(help="Evaluation repositories, or a folder of them, as eval_repos.")],
    python: Python = None,
    detect_only: Annotated[bool, typer.Option("--detect-only", help="No fixes: only recall and decoys.")] = False,
    scripted: Scripted = None,
    model: ModelName = None,
    base_url: BaseUrl = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    candidates: Candidates = None,
    config: ConfigFile = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="full or json.")] = Format.FULL,
    sandbox: SandboxName = None,
    quiet: Quiet = False,
) -> None:
    """Measure fixbot on repositories with known bugs: recall, decoys hit, fixed, precision of each rule.

    With --scripted or --model: what becomes of a model's fixes instead, judged by hidden tests. Limits hold for all repositories together.
    """
    if sum((detect_only, bool(scripted), model is not None)) > 1:
        raise UsageError("--detect-only, --scripted and --model exclude each other")
    if scripted or model is not None:
        flags = {"model": model, "base_url": base_url, "max_cost": max_cost, "max_tokens": max_tokens, "candidates": candidates}
        flags |= {"python": python, "sandbox": sandbox}
        _evaluate_model(repositories, flags, scripted or [], config, output_format, quiet)
        return
    from fixbot.agent.evaluate import evaluate as measure
    from fixbot.agent.report.evaluation import print_evaluation

    with progress_of(quiet) as emit:
        results = measure(repositories, python=python, sandbox=sandbox or "auto", detect_only=detect_only, emit=emit)
    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        typer.echo(dumps([result.to_json() for result in results]))
    else:
        with output(None) as console:
            print_evaluation(console, results)


def _evaluate_model(
    repositories: Sequence[Path], flags: dict[str, Any], scripted: list[Script], config: Path | None, output_format: Format, quiet: bool
) -> None:
    from fixbot.agent.evaluate_model import prepare
    from fixbot.agent.report.evaluation_model import show_model_evaluation

    show_model_evaluation(repositories, prepare(flags, scripted, config, CREDENTIALS), output_format, quiet)

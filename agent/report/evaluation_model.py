"""The evaluation's figures with a model, scripted or live, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import typer
from rich.console import Console

from fixbot.agent.evaluate_model import Job, evaluate_model
from fixbot.agent.events import Decided, Emit, Event
from fixbot.agent.model_rows import ACCEPTED, ASKED, FAILED, Fate, ModelRun, Row, prompt_tokens
from fixbot.agent.options import Format
from fixbot.agent.report.evaluation import table
from fixbot.agent.report.formats import dumps
from fixbot.agent.report.output import output, progress_of
from fixbot.agent.report.text import line, plural
from fixbot.agent.scripted import Script

_TARGET = 3000
"""Tokens that the median of the first prompts is to stay below."""


def show_model_evaluation(repositories: Sequence[Path], job: Job, output_format: Format, quiet: bool) -> None:
    """Run the evaluation and print it; one that is broken off, by an error or by Ctrl-C, as far as it has come. Raises what ended it."""
    runs: list[ModelRun] = []
    decided: list[str] = []
    try:
        with progress_of(quiet) as emit:
            for run in evaluate_model(repositories, job, partial(_watch, decided, emit)):
                runs.append(run)
                decided.clear()
    except BaseException:
        if runs or decided:
            _show(runs, output_format, _so_far(runs, decided))
        raise
    _show(runs, output_format, "")


def _watch(decided: list[str], emit: Emit, event: Event) -> None:
    if isinstance(event, Decided):
        decided.append(event.status)
    emit(event)


def _so_far(runs: Sequence[ModelRun], decided: Sequence[str]) -> str:
    """What an evaluation that was broken off has come to: whole runs, and what is known of the one that was under way."""
    text = f"INCOMPLETE: broken off after {plural(len(runs), 'run')}"
    counts = ", ".join(f"{number} {status}" for status, number in sorted(Counter(decided).items()))
    return f"{text}; decided in the next one, not judged by hidden tests: {counts}" if counts else text


def _show(runs: Sequence[ModelRun], output_format: Format, incomplete: str) -> None:
    if output_format is Format.JSON:
        typer.echo(dumps([run.to_json() for run in runs]))
        if incomplete:
            typer.echo(incomplete, err=True)
        return
    with output(None) as console:
        print_model_evaluation(console, runs)
        if incomplete:
            console.print(incomplete)


def print_model_evaluation(console: Console, runs: Sequence[ModelRun]) -> None:
    """A table a run, then the figures of all repositories, scripts and live models apart."""
    for run in runs:
        _print_run(console, run)
    for script in (None, Script.GOOD):
        _print_fixes(console, [run for run in runs if run.script is script])
    for script in (Script.WRONG, Script.CHEAT):
        _print_bad(console, [run for run in runs if run.script is script])
    _print_prompts(console, runs)


def _print_run(console: Console, run: ModelRun) -> None:
    figures = table("bug", "finding", "fate", "grade", "proof", "hidden test", "why", title=f"{line(run.name)}: {line(run.label)}")
    for row in run.rows:
        if row.fate is Fate.NO_REPLY and run.script is not Script.GOOD:
            continue
        hidden = {None: "none", True: "passes", False: "fails"}[row.hidden]
        figures.add_row(row.bug.id, line(row.finding), row.fate.value, row.grade, "kept" if row.proof else "", hidden, line(row.reason))
    console.print(figures)
    for place in run.others:
        console.print(f"  fixed, but no known bug: {line(place)}")
    for note in run.notes:
        console.print(f"  note: {line(note)}")
    console.print()


def _print_fixes(console: Console, runs: Sequence[ModelRun]) -> None:
    """What good replies, or those of a live model, came to."""
    if not runs:
        return
    names = ("asked", "fixed", "verified", "plausible-but-wrong", "failed", "abstained", "over-budget", "no reply", "proof tests")
    live = runs[0].script is None
    figures = table("repository", *names, *(("tokens", "USD") if live else ()), title=f"{line(runs[0].label)}: fixes")
    counted = [_fixes(run) for run in runs]
    for run, counts in zip(runs, counted, strict=True):
        figures.add_row(line(run.name), *map(str, counts), *((str(run.tokens), _money(run.cost)) if live else ()))
    total = [sum(column) for column in zip(*counted, strict=True)]
    tokens, costs = sum(run.tokens for run in runs), [run.cost for run in runs if run.cost is not None]
    cost = sum(costs) if costs else None
    figures.add_row("all", *map(str, total), *((str(tokens), _money(cost)) if live else ()))
    console.print(figures)
    if live:
        fixed = total[1]
        each = f"{tokens / fixed:.0f} tokens and {_money(cost / fixed if cost is not None else None)} USD a fix" if fixed else "no fix"
        console.print(each + ("; some tokens are estimated" if any(run.estimated for run in runs) else ""))
    console.print()


def _fixes(run: ModelRun) -> list[int]:
    return [
        run.count(*ASKED),
        run.count(Fate.FIXED),
        sum(row.verified for row in run.rows),
        run.count(Fate.WRONG),
        run.count(*FAILED),
        run.count(Fate.ABSTAINED),
        run.count(Fate.OVER_BUDGET),
        run.count(Fate.NO_REPLY),
        sum(row.proof for row in run.rows),
    ]


def _print_bad(console: Console, runs: Sequence[ModelRun]) -> None:
    """What bad replies came to."""
    if not runs:
        return
    names = ("tried", "refused by gate", "rejected by tests", "unverifiable", "abstained", "accepted as checked", "accepted as VERIFIED")
    figures = table("repository", *names, title=f"{line(runs[0].label)}: bad replies")
    counted = [_bad(run) for run in runs]
    for run, counts in zip(runs, counted, strict=True):
        figures.add_row(line(run.name), *map(str, counts))
    figures.add_row("all", *(str(sum(column)) for column in zip(*counted, strict=True)))
    console.print(figures)
    verified = [(run, row) for run in runs for row in run.rows if row.verified]
    console.print(f"bad replies accepted as VERIFIED: {len(verified)} (must be 0)")
    for run, row in verified:
        console.print(f"  {line(run.name)} {row.bug.id}: {line(row.finding)}{_excuse(row)}")
    console.print()


def _bad(run: ModelRun) -> list[int]:
    verified = sum(row.verified for row in run.rows)
    return [
        run.count(*ASKED),
        run.count(Fate.REFUSED),
        run.count(Fate.REJECTED),
        run.count(Fate.UNVERIFIABLE),
        run.count(Fate.ABSTAINED),
        run.count(*ACCEPTED) - verified,
        verified,
    ]


def _excuse(row: Row) -> str:
    return "; the hidden test passes, so the reply may be right" if row.fate is Fate.FIXED else ""


def _print_prompts(console: Console, runs: Sequence[ModelRun]) -> None:
    sizes = prompt_tokens(runs)
    if sizes["count"]:
        figures = f"median {sizes['median']:.0f} tokens, maximum {sizes['max']:.0f}"
        console.print(f"{plural(int(sizes['count']), 'first prompt')}: {figures} (target: median below {_TARGET:,})")


def _money(cost: float | None) -> str:
    return "no prices" if cost is None else f"{cost:.4f}"

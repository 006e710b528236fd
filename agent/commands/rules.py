"""``fixbot rules`` and ``fixbot explain``: what is looked for."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fixbot.agent.options import Format
from fixbot.agent.report.output import output


def explain(rule: Annotated[str, typer.Argument(help="A rule's id; `fixbot rules` lists them.")]) -> None:
    """Print a rule's page: what it finds, why that is a bug, what it can't see, examples."""
    from fixbot.detectors.registry import all_rules

    known = all_rules().get(rule.replace("_", "-"))
    if known is None:
        from fixbot.agent.config import unknown_rule

        raise unknown_rule(rule)
    text = known.page.read_text("utf-8")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        typer.echo(text)


def rules(
    output_format: Annotated[Format, typer.Option("--output-format", help="full, concise or json.")] = Format.FULL,
    stats: Annotated[bool, typer.Option("--stats", help="How their findings were decided in reviews and pull requests.")] = False,
) -> None:
    """List the rules with severity and fix."""
    from fixbot.agent.history import rule_figures
    from fixbot.agent.report.rules import print_rules, print_stats, rules_json

    if output_format is Format.JSON:
        from fixbot.agent.report.formats import dumps

        typer.echo(dumps(rules_json(rule_figures())))
        return
    with output(None) as console:
        if stats:
            print_stats(console, rule_figures())
        else:
            print_rules(console, short=output_format is Format.CONCISE)

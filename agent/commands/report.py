"""``fixbot report``: a finished run again, in any format."""

from __future__ import annotations

from typing import Annotated

import typer

from fixbot.agent.errors import UsageError
from fixbot.agent.options import Format, OutputFile, OutputFormat
from fixbot.agent.report.output import print_result, write


def report(
    run: Annotated[str, typer.Argument(help="A run's id or its beginning; `last` for the newest.")] = "last",
    output_format: OutputFormat = Format.FULL,
    markdown: Annotated[bool, typer.Option("--markdown", help="A bug report in Markdown.")] = False,
    html: Annotated[bool, typer.Option("--html", help="One HTML file, with filters, diffs and evidence.")] = False,
    max_size: Annotated[
        int | None, typer.Option("--max-size", metavar="BYTES", min=1000, help="With --markdown: leave out whole findings beyond that.")
    ] = None,
    output_file: OutputFile = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs instead.")] = False,
) -> None:
    """Report a finished run again, in any format."""
    from fixbot.agent.history import finished_run, run_lines

    if list_runs:
        for row in run_lines():
            typer.echo(row)
        return
    result = finished_run(run)
    if markdown and html:
        raise UsageError("--markdown and --html exclude each other")
    if html:
        from fixbot.agent.report.html import html as render_html

        write(output_file, render_html(result))
    elif markdown:
        from fixbot.agent.report.markdown import markdown as render

        write(output_file, render(result, max_size).rstrip("\n"))
    else:
        print_result(output_format, output_file, result)

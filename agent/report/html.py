"""A run as one HTML file that needs nothing else: filters and search, diffs, evidence, time, spend.

The page works without its script, as a plain list. All text of others is escaped by the templates, hidden characters in it show as
escapes, and the page's own policy lets no other style or script run and nothing be loaded or sent.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from fixbot.agent.report.delivery import WORDS
from fixbot.agent.report.diffs import rows
from fixbot.agent.report.markdown import evidence_line, impact, spend_line, tests_line
from fixbot.agent.report.text import clean, inert, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import ReadReport, Severity

_HERE = Path(__file__).parent
_OVERVIEW = 8
"""Rules and files that the overview names."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a bar, in percent of its width; ``words`` say what it stands for."""

    name: str
    count: int
    start: float
    width: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of one rule or in one file; the widths are percent of those of the biggest group."""

    name: str
    count: int
    done: int
    width: float
    done_width: float


def html(result: RunResult) -> str:
    """The whole report as one document."""
    shown = sorted(
        (one for one in result.outcomes if one.status is not Status.SUPPRESSED),
        key=lambda one: (one.finding.severity.rank, one.finding.path, one.finding.span),
    )
    style, script = (Markup((_HERE / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            result=result,
            name=PurePath(result.repository).name or "repository",
            shown=shown,
            muted=result.count(Status.SUPPRESSED),
            fixed=result.count(Status.FIXED),
            severities=_severities(shown),
            statuses=_statuses(shown),
            rules=_groups(shown, lambda one: one.finding.rule),
            files=_groups(shown, lambda one: one.finding.path),
            most=_OVERVIEW,
            stages=list(_stages(result)),
            total=_duration(sum(result.seconds.values())),
            version=version("fixbot"),
            style=style,
            script=script,
            policy=_policy(style, script),
        )
    )
    return inert(text, "&#58;", "&#35;")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.filters |= {"ticks": _ticks, "path": _path}
    helpers: dict[str, Any] = {one.__name__: one for one in (evidence_line, impact, plural, rows, spend_line, tests_line)}
    helpers |= {"headings": _headings, "words": WORDS}
    made.globals.update(helpers)
    return made


def _clean(value: Any) -> Any:
    """Applied by the templates to all that they print, before it is escaped."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _ticks(text: str) -> Markup:
    """Plain text of which what stands between backticks is code."""
    parts = clean(text).split("`")
    if len(parts) % 2 == 0:
        return escape(clean(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def _path(text: str) -> Markup:
    """A path that may break behind its slashes."""
    return Markup("/<wbr>").join(clean(text).split("/"))


def _policy(style: str, script: str) -> str:
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{digests[0]}'; script-src 'sha256-{digests[1]}'; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _headings(report: ReadReport) -> int:
    return sum(one.heading_only for one in report.refused)


def _severities(shown: Sequence[Outcome]) -> list[Share]:
    counts = Counter(one.finding.severity for one in shown)
    return [Share(severity.value, counts[severity], 0, 0) for severity in Severity if counts[severity]]


def _statuses(shown: Sequence[Outcome]) -> list[Share]:
    counts = Counter(one.status for one in shown)
    shares: list[Share] = []
    start = 0.0
    for status in Status:
        if counts[status]:
            width = 100 * counts[status] / len(shown)
            words = f"{counts[status]} {status.value}"
            shares.append(Share(status.value, counts[status], round(start, 3), round(width, 3), words))
            start += width
    return shares


def _groups(shown: Sequence[Outcome], key: Callable[[Outcome], str]) -> list[Group]:
    counts = Counter(map(key, shown))
    done = Counter(key(one) for one in shown if one.status is Status.FIXED)
    most = max(counts.values(), default=1)
    return [
        Group(name, count, done[name], round(100 * count / most, 3), round(100 * done[name] / most, 3))
        for name, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    ]


def _stages(result: RunResult) -> Iterator[Share]:
    """The stages in the order in which they began, each bar where the sum of those before it ends."""
    total, start = sum(result.seconds.values()) or 1.0, 0.0
    for name, seconds in result.seconds.items():
        width = 100 * seconds / total
        yield Share(name, 0, round(start, 3), round(width, 3), _duration(seconds))
        start += width


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    if minutes >= 60:
        return f"{minutes // 60:.0f} h {minutes % 60:.0f} min"
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{rest:.1f} s"

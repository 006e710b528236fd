"""The prompt's facts about one finding: excerpts of the repository, cut to a budget of tokens, fenced and marked as untrusted data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fixbot.detectors.finding import Finding
from fixbot.detectors.project import Project
from fixbot.detectors.registry import all_rules
from fixbot.detectors.source import SkippedFile
from fixbot.patchers.edits import protected
from fixbot.patchers.model.excerpts import Excerpt, excerpts

BYTES_PER_TOKEN = 3.5
"""Code and English in the tokenizers of today's models have 3 to 4 bytes a token; the budget corrects it by what endpoints report."""

PROMPT_TOKENS = 6000
_PAGE = 1500  # characters of the rule's page
_TEXT = 3000  # characters of a report's or a test's text
_REPORTS = 3  # entries of reports
_SECTIONS = ("Why it is a bug", "Fix")


class ContextError(Exception):
    """The finding cannot be put before a model; the text says why, in the words that reports show."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a model is told about a finding. ``paths`` are the files that it saw, ``editable`` those of them that it may change."""

    rule: str
    finding: str
    code: str
    paths: tuple[str, ...]
    editable: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole, what is the same for other findings of the rule first."""
        return "\n\n".join(part for part in (self.rule, self.code, self.finding) if part)


def tokens(text: str) -> int:
    """About how many tokens a text is."""
    return int(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN) + 1


def build_context(finding: Finding, project: Project, *, limit: int = PROMPT_TOKENS, dependencies: bool = False) -> Context:
    """Rank what explains a finding and keep what fits into ``limit`` tokens, the code that it stands in always whole.

    ``dependencies`` makes requirement files editable. Raises ContextError when that code alone is too long, cannot be
    read, or nothing of what is shown may be changed.
    """
    about, rule = describe(finding), _rule(finding)
    try:
        ranked = list(excerpts(finding, project))
    except (SkippedFile, OSError) as error:
        raise ContextError(f"{finding.path} cannot be read: {error}") from None
    if dependencies:
        ranked[1:1] = [Excerpt(path, 1, 60, "requirements") for path in _requirements(finding.path, project)]
    lines: dict[str, dict[int, str]] = {}
    files: dict[str, list[str]] = {}
    spent = tokens(about) + tokens(rule)
    for index, one in enumerate(ranked):
        fresh = _fresh(one, files, lines.get(one.path, {}), project)
        cost = tokens("\n".join(fresh.values())) + 3 * len(fresh)
        if spent + cost > limit:
            if index == 0:
                raise ContextError(
                    f"the code around it ({one.last - one.first + 1} lines) is more than a prompt of {limit} tokens may hold"
                )
            continue
        if fresh:
            lines.setdefault(one.path, {}).update(fresh)
            spent += cost
    editable = tuple(path for path in lines if not protected(path, dependencies=dependencies))
    if not editable:
        raise ContextError(f"{finding.path} may not be changed by a fix: {protected(finding.path, dependencies=dependencies)}")
    return Context(rule, about, "\n\n".join(_render(path, numbers) for path, numbers in lines.items()), tuple(lines), editable)


def _fresh(one: Excerpt, files: dict[str, list[str]], have: Mapping[int, str], project: Project) -> dict[int, str]:
    """The excerpt's lines that are not there yet."""
    if one.path not in files:
        if one.path not in project.files and one.path not in project.others:
            return {}
        files[one.path] = _read(one.path, project)
    text = files[one.path]
    return {number: text[number - 1] for number in range(one.first, min(one.last, len(text)) + 1) if number not in have}


def _read(path: str, project: Project) -> list[str]:
    """A file's lines as an answer may quote them: in the file's own encoding, without marks of order or page."""
    try:
        source = project.source(path)
    except OSError:
        return []
    try:
        text = source.text
    except SkippedFile:
        text = source.data.decode("utf-8", "replace")
    return [line.lstrip("\f") for line in re.split(r"\r\n|\r|\n", text)]


def _requirements(path: str, project: Project) -> list[str]:
    """The dependency files of the folders above a file, nearest first."""
    names = [other for other in project.others if protected(other) and not protected(other, dependencies=True)]
    above = [other for other in names if path.startswith(other.rpartition("/")[0])]
    return sorted(above, key=len, reverse=True)[:3]


# Text


def describe(finding: Finding) -> str:
    """The finding in words: place, message, what a report or a failing test says of it."""
    rows = [f"# The bug to fix\n\nRule: {finding.rule}\nPlace: {finding.path}, line {finding.span.line}"]
    rows[0] += f", in `{finding.scope}`" if finding.scope else ""
    rows.append(f"Message: {plain(finding.message)}")
    rows += [f"See also {plain(place.path)}, line {place.line}: {plain(place.message)}" for place in finding.related]
    rows += [row for report in finding.facts.get("reports", ())[:_REPORTS] for row in _texts(report, ("heading", "text", "problem", "fix"))]
    rows += _texts(finding.facts, [name for name in finding.facts if name != "placed_by"])
    return "\n".join(rows)


def _texts(facts: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    """Some of a finding's facts, each in a fence."""
    for name in names:
        text = facts.get(name)
        if isinstance(text, str) and text.strip():
            yield f"{name.replace('_', ' ').capitalize()}:\n{fenced(plain(text[:_TEXT]))}"


def _rule(finding: Finding) -> str:
    """What the rule's page says of the bug and its fix."""
    known = all_rules().get(finding.rule)
    if known is None:
        return ""
    title, *sections = re.split(r"^## ", known.page.read_text("utf-8"), flags=re.MULTILINE)
    kept = [title.strip(), *(f"## {section.strip()}" for section in sections if section.startswith(_SECTIONS))]
    return "\n\n".join(kept)[:_PAGE]


def _render(path: str, numbers: Mapping[int, str]) -> str:
    """A file's lines with their numbers, in order; gaps as dots."""
    rows: list[str] = []
    previous = 0
    for number in sorted(numbers):
        if number != previous + 1:
            rows.append("   ...")
        rows.append(f"{number:4}| {plain(numbers[number])}")
        previous = number
    return f"File: {plain(path)}\n{fenced(chr(10).join(rows))}"


def plain(text: str) -> str:
    """Without control and invisible characters, which could hide something from whoever reads the prompt."""
    return "".join(
        sign if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Co", "Cs") else "\N{REPLACEMENT CHARACTER}"
        for sign in text
    )


def fenced(text: str) -> str:
    """The text in a fence that nothing inside it can close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"

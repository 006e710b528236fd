"""What a pull request says: made from data alone. Text of the repository and of models is shown, never acted on by the forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fixbot.agent.deliver.mark import Mark, without_notes, write_note
from fixbot.agent.report.markdown import code, evidence_line, impact, prose
from fixbot.agent.report.text import harmless, line, plural
from fixbot.agent.result import Outcome, RunResult
from fixbot.detectors.registry import all_rules

MAX_BODY = 60_000  # characters; GitHub takes 65,536
_MAX_TITLE, _MAX_TEXT = 120, 500


def title(fixes: Sequence[Outcome]) -> str:
    """A Conventional Commits title, the same as long as the fixes are of the same rule or file."""
    rules = sorted({one.finding.rule for one in fixes})
    paths = sorted({one.finding.path for one in fixes})
    what = rules[0] if len(rules) == 1 else plural(len(fixes), "finding")
    where = paths[0].rpartition("/")[2] if len(paths) == 1 else f"{len(paths)} files"
    return _cut(f"fix: {what} in {harmless(line(where))}", _MAX_TITLE)


def body(fixes: Sequence[Outcome], result: RunResult, mark: Mark) -> str:
    """The text of a pull request, with its note before it."""
    head = [write_note(mark), "", *_summary(fixes)]
    tail = list(_tail(result, mark))
    room = MAX_BODY - sum(len(row) + 1 for row in (*head, *tail)) - 200
    rows: list[str] = []
    for number, one in enumerate(fixes):
        block = list(_finding(one))
        room -= sum(len(row) + 1 for row in block)
        if room < 0:
            rows += [f"... and {plural(len(fixes) - number, 'more fix', 'more fixes')}: see the commits, one a finding.", ""]
            break
        rows += block
    return "\n".join((*head, *rows, *tail)) + "\n"


def with_note(text: str, mark: Mark) -> str:
    """A pull request's text with another note."""
    return f"{write_note(mark)}\n{without_notes(text).lstrip()}"


def _summary(fixes: Sequence[Outcome]) -> Iterator[str]:
    yield f"{plural(len(fixes), 'bug')}, fixed and proven with this repository's own tests; one commit a finding, any can be dropped."
    yield ""
    for rule in sorted({one.finding.rule for one in fixes}):
        yield f"**{code(rule)}**: {harmless(prose(_cut(impact(rule), _MAX_TEXT)))}"
        yield ""


def _finding(one: Outcome) -> Iterator[str]:
    finding, verdict = one.finding, one.verdict or {}
    place = f"{finding.path}:{finding.span.line}" + (f" in {finding.scope}" if finding.scope else "")
    yield f"### {code(_cut(line(place), 200))}"
    yield ""
    yield f"{finding.severity.value}: {_shown(finding.message)}"
    yield ""
    if verdict:
        yield f"- **Evidence:** {_shown(evidence_line(verdict))}"
    if verdict.get("newly_passing"):
        yield f"- **Tests that pass now:** {', '.join(code(_cut(line(name), 200)) for name in verdict['newly_passing'][:5])}"
    yield f"- **Not checked:** {_unchecked(one)}"
    patch: Mapping[str, Any] = one.patch or {}
    if patch.get("origin") == "model":
        name = (one.spend or patch).get("model") or "unknown"
        yield f"- **Written by a model** ({_shown(name)}), held to the same gate and tests."
    if words := patch.get("words"):
        yield f"- **In the words of {_shown(words['model'])}, unchecked:** {_shown(words['text'], 1000)}"
    yield f"- **Finding:** {code(finding.fingerprint)}"
    yield ""


def _unchecked(one: Outcome) -> str:
    """What the evidence does not cover, in words."""
    lines = (one.verdict or {}).get("changed_lines_covered") or {"changed": 0, "executed": 0}
    missing = lines["changed"] - lines["executed"]
    flaky = len((one.verdict or {}).get("flaky") or ())
    parts = [
        f"{plural(missing, 'changed line')} that no passing test executes" if missing > 0 else "",
        f"{plural(flaky, 'flaky test')}, which decided nothing" if flaky else "",
        "anything that the tests do not assert",
    ]
    return "; ".join(part for part in parts if part)


def _tail(result: RunResult, mark: Mark) -> Iterator[str]:
    proven = sum(one.commit is not None or one.patch is not None for one in result.outcomes if one.status.value == "fixed")
    rules = ", ".join(code(rule) for rule in sorted({fix.rule for fix in mark.fixes} & all_rules().keys()))
    yield "---"
    yield ""
    yield (
        f"The tests ran with all {proven} fixes of the run applied, not with each pull request alone: this one's own checks do that. "
        f"Tests without fixes: {_shown(_tests(result))}."
    )
    yield ""
    yield "<details><summary>How to mute, decline or change this</summary>"
    yield ""
    yield "- Close it: these findings are not offered again until their code changes, or until you comment `/fixbot reopen` on it."
    yield "- Push to the branch: it is yours from then on, fixbot leaves it alone."
    yield "- Mute one place: `# fixbot: ignore[rule] reason` on its line. A rule: `ignore = [...]` in `[tool.fixbot]`."
    yield f"- What a rule does: `fixbot explain RULE` ({rules})." if rules else "- What a rule does: `fixbot explain RULE`."
    yield ""
    yield "</details>"
    yield ""
    yield f"<sub>fixbot {version('fixbot')} · run `{mark.run}` · base `{mark.base[:12]}` · {_shown(result.sandbox or 'no sandbox')}</sub>"


def _tests(result: RunResult) -> str:
    tests = result.tests
    return f"{tests.get('passed', 0)} passed, {tests.get('failed', 0)} failed" if tests else "not run"


def _shown(text: str, size: int = _MAX_TEXT) -> str:
    return harmless(prose(_cut(line(text), size)))


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3].rstrip() + "..."

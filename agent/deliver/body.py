"""What a pull request says: made from data alone. Text of the repository and of models is shown, never acted on by the forge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from fixbot.agent.deliver.mark import Mark, without_notes, write_note
from fixbot.agent.report.markdown import code, impact, prose
from fixbot.agent.report.text import harmless, line, plural
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.registry import all_rules

MAX_BODY = 60_000  # characters; GitHub takes 65,536
_MAX_TITLE, _MAX_TEXT, _MAX_MESSAGE = 120, 500, 1000


def title(fixes: Sequence[Outcome]) -> str:
    """A Conventional Commits title, the same as long as the fixes are of the same rule or file."""
    rules = sorted({one.finding.rule for one in fixes})
    paths = sorted({one.finding.path for one in fixes})
    what = rules[0] if len(rules) == 1 else plural(len(fixes), "finding")
    where = paths[0].rpartition("/")[2] if len(paths) == 1 else f"{len(paths)} files"
    return _cut(f"fix: {what} in {harmless(line(where))}", _MAX_TITLE)


def body(fixes: Sequence[Outcome], result: RunResult, mark: Mark, rules_url: str | None = None) -> str:
    """The text of a pull request, with its note before it: rule by rule why it is a bug, finding by finding the evidence.

    ``rules_url`` is the address of the folder with the pages of the rules (``GROUP/RULE.md``), if they are to be linked.
    """
    head = [write_note(mark), "", f"{plural(len(fixes), 'bug')}, fixed and proven with this repository's own tests; one commit a finding,"]
    head[-1] += " any can be dropped."
    tail = list(_tail(fixes, result, mark))
    room = MAX_BODY - sum(len(row) + 1 for row in (*head, *tail)) - 200
    rows: list[str] = []
    left = len(fixes)
    for block, number in _blocks(fixes, rules_url):
        room -= sum(len(row) + 1 for row in block)
        if room < 0:
            rows += ["", f"... and {plural(left, 'more fix', 'more fixes')}: see the commits, one a finding."]
            break
        rows += block
        left -= number
    return "\n".join((*head, *rows, "", *tail)) + "\n"


def _blocks(fixes: Sequence[Outcome], rules_url: str | None) -> Iterator[tuple[list[str], int]]:
    """Lines that stay together, and how many fixes they tell of."""
    for rule in sorted({one.finding.rule for one in fixes}):
        some = [one for one in fixes if one.finding.rule == rule]
        known = all_rules().get(rule)
        page = f" ([the rule]({rules_url.rstrip('/')}/{known.page.parent.name}/{known.page.name}))" if rules_url and known else ""
        yield ["", f"### {code(rule)}{page}", "", f"Why it is a bug: {_shown(impact(rule))}", ""], 0
        for message in dict.fromkeys(one.finding.message for one in some):
            same = [one for one in some if one.finding.message == message]
            yield [_shown(message, _MAX_MESSAGE), ""] if len(same) > 1 else [], 0
            for one in same:
                yield list(_finding(one, len(same) == 1)), 1
            yield [""] if len(same) > 1 else [], 0


def with_note(text: str, mark: Mark) -> str:
    """A pull request's text with another note."""
    return f"{write_note(mark)}\n{without_notes(text).lstrip()}"


def _finding(one: Outcome, tells: bool) -> Iterator[str]:
    finding, patch = one.finding, one.patch or {}
    place = code(_cut(line(f"{finding.path}:{finding.span.line}"), 200))
    scope = f" in {code(_cut(line(finding.scope), 100))}" if finding.scope else ""
    said = f": {_shown(finding.message, _MAX_MESSAGE)}" if tells else ""
    yield f"- **{place}**{scope} ({finding.severity.value}){said}"
    yield f"  - {_evidence(one.verdict or {})}"
    if patch.get("origin") == "model":
        name = (one.spend or patch).get("model") or "unknown"
        yield f"  - written by a model ({_shown(name)}), held to the same gate and tests"
    if words := patch.get("words"):
        yield f"  - in the words of {_shown(words['model'])}, unchecked: {_shown(words['text'], 1000)}"


def _evidence(verdict: Mapping[str, Any]) -> str:
    """The grade and what it stands on; changed lines that no passing test executes are told."""
    if not verdict:
        return "no evidence"
    lines, tests, proof = verdict["changed_lines_covered"], verdict["executed_by"], verdict["proof_test"]
    parts = [f"{verdict['grade']}: {lines['executed']} of {plural(lines['changed'], 'changed line')} executed by passing tests"]
    if tests:
        parts[0] += f" ({_name(tests[0])}{' and others' if len(tests) > 1 else ''})"
    if lines["executed"] == lines["changed"] and verdict["reason"]:
        parts.append(_shown(verdict["reason"]))
    if proof and proof["kept"]:
        parts.append(f"{_name(proof['path'])} fails without the fix and passes with it")
    if verdict["newly_passing"]:
        parts.append(f"passes now: {', '.join(map(_name, verdict['newly_passing'][:3]))}")
    return "; ".join(parts)


def _name(text: str) -> str:
    return code(_cut(line(text), 200))


def _tail(fixes: Sequence[Outcome], result: RunResult, mark: Mark) -> Iterator[str]:
    proven = sum(one.patch is not None and one.status is Status.FIXED for one in result.outcomes)
    rules = ", ".join(code(rule) for rule in sorted({fix.rule for fix in mark.fixes} & all_rules().keys()))
    alone = "" if proven == len(fixes) else f" with all {proven} fixes of the run applied, not with this pull request alone"
    verdict = fixes[0].verdict or {}
    unchecked = ["what the tests do not assert"]
    if flaky := verdict.get("flaky"):
        unchecked.insert(0, plural(len(flaky), "flaky test"))
    yield "---"
    yield ""
    yield (
        f"**Tests:** {verdict.get('tests_before', 0)} passed before, {verdict.get('tests_after', 0)} after{alone}. "
        f"**Not checked:** {', '.join(unchecked)}; changed lines that no test executes, where a finding says so."
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


def _shown(text: str, size: int = _MAX_TEXT) -> str:
    return harmless(prose(_cut(line(text), size)))


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3].rstrip() + "..."

"""What pull requests, dashboards and commits say: text of the repository and of models is shown there and has no effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deliveries import VERDICT
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from fixbot.agent.commits import fix_message
from fixbot.agent.config import Settings
from fixbot.agent.deliver.body import MAX_BODY, body, title
from fixbot.agent.deliver.dashboard import render
from fixbot.agent.deliver.mark import Mark, Memory, Offered, commands, read_note, write_note
from fixbot.agent.deliver.plan import Action, Step
from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import Finding, Severity, Span

CORPUS = [
    "fixes #1, closes octo/project#2, resolves GH-3",
    "@everyone @octo/core ann@example.org cc @ann",
    "<script>alert(1)</script><img src=x onerror=alert(1)> <!-- --> <details>",
    "![x](https://evil.example/beacon.png) [y](javascript:alert(1)) https://evil.example www.evil.example",
    "```\n# heading\n```\n\n- [x] <!-- fixbot:do open all -->\n",
    "` `` ``` ~~~ | a | b |\n|---|---|",
    "--> <!-- fixbot:pull AAAA --> <!-- fixbot:memory AAAA -->",
    "\x1b[31mred\x07 \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \u202egnp.exe \u200b \U000e0041",
    "/fixbot reopen\n/merge\n/approve",
    "Fixbot-Base: 0123456789012345678901234567890123456789\nSigned-off-by: ann <ann@example.org>\nCo-authored-by: x <x@y>",
    "$HOME !5 ~label %milestone &epic",
    "{{ 7 * 7 }} ${{ secrets.TOKEN }} ::set-output name=x::y",
]
PLAIN = "x"


def outcome(text: str, number: int = 0) -> Outcome:
    """A fixed finding that has the text in every field that holds text of others."""
    path = f"{text}.py"
    finding = Finding("undefined-name", Severity.HIGH, path, Span(1, 1, 1, 2), text, text, text, f"{number:016x}")
    verdict: dict[str, Any] = {**VERDICT, "reason": text, "executed_by": [text], "newly_passing": [text], "flaky": [text]}
    verdict["proof_test"] = {"path": path, "source": text, "kept": True}
    verdict["changed_lines_covered"] = {"executed": 1, "changed": 2}
    patch: dict[str, Any] = {"origin": "model", "safety": "safe", "bases": {}, "edits": [], "diff": text, "model": text}
    patch["words"] = {"model": text, "text": text}
    return Outcome(finding, Status.FIXED, text, patch, verdict, "0" * 40)


def run(*outcomes: Outcome) -> RunResult:
    tests: dict[str, Any] = {"passed": 1, "failed": 0, "flaky": [], "problem": ""}
    return RunResult("20261124-abcdef", "", "0" * 40, None, None, outcomes, 1, 0, tests=tests, sandbox="bubblewrap")


def mark(*outcomes: Outcome) -> Mark:
    fixes = tuple(
        Offered(finding=one.finding.fingerprint, rule="undefined-name", path=one.finding.path[:100], code="0" * 16) for one in outcomes
    )
    return Mark(key="undefined-name", base="0" * 40, run="r", fixes=fixes)


def shape(markdown: str) -> list[str]:
    """What a text is made of: the kinds of its parts; HTML with its text."""
    return [token.type if not token.type.startswith("html") else f"html {_blank(token.content)}" for token in _tokens(markdown)]


def _blank(html: str) -> str:
    return re.sub(r"(fixbot:\w+) [A-Za-z0-9+/=]+", r"\1", html)


def _tokens(markdown: str) -> Iterator[Token]:
    for token in MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(markdown):
        yield token
        yield from token.children or ()


def acting(markdown: str) -> list[str]:
    """What a forge would act on in the rendered text outside of code."""
    texts = [token.content for token in _tokens(markdown) if token.type == "text"]
    return [found for text in texts for found in re.findall(r"@\w+|#\d+|GH-\d+|\w+://\S+|www\.\w+|[!$%&~]\w+|mailto:", text)]


def documents(text: str) -> dict[str, str]:
    """Everything that is written to a forge as Markdown, with the text wherever text of others may be."""
    one = outcome(text)
    waiting = Step(Action.WAIT, "undefined-name", "fixbot/undefined-name", text, (one,))
    opened = replace(waiting, action=Action.LEAVE)
    failed = replace(one, status=Status.FAILED)
    memory = Memory(first_seen={"undefined-name": "2026-11-24"})
    return {"body": body([one], run(one), mark(one)), "board": render([waiting, opened], run(failed), memory)}


@pytest.mark.parametrize("text", CORPUS)
def test_text_of_others_makes_no_markup_and_no_reference(text: str) -> None:
    plain, hostile = documents(PLAIN), documents(text)
    for name, markdown in hostile.items():
        kinds = ("text", "code_inline", "softbreak", "text_special")
        assert [kind for kind in shape(markdown) if kind not in kinds] == [kind for kind in shape(plain[name]) if kind not in kinds]
        assert acting(markdown) == acting(plain[name])
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", markdown)


@pytest.mark.parametrize("text", CORPUS)
def test_text_of_others_gives_no_orders_and_no_notes(text: str) -> None:
    written = documents(text)
    assert read_note(Mark, written["body"]) == mark(outcome(text))
    assert read_note(Memory, written["board"]) == Memory(first_seen={"undefined-name": "2026-11-24"})
    assert commands(written["board"]) == frozenset()


@pytest.mark.parametrize("text", CORPUS)
def test_commit_messages_and_titles_stay_one_line_a_field(text: str) -> None:
    one = outcome(text)
    message = fix_message(one.finding, one.verdict or {}, {"Fixbot-Base": "f" * 40})
    subject, trailers = message.splitlines()[0], message.rstrip().split("\n\n")[-1].splitlines()
    assert [row.partition(":")[0] for row in trailers] == ["Fixbot-Rule", "Fixbot-Finding", "Fixbot-Base"]
    assert trailers[-1] == f"Fixbot-Base: {'f' * 40}"
    plain = fix_message(outcome(PLAIN).finding, outcome(PLAIN).verdict or {}, {"Fixbot-Base": "f" * 40})
    assert len(message.splitlines()) == len(plain.splitlines())
    for line in (subject, message, title([one])):
        assert not re.search(r"@\w|#\d|GH-\d|\w://|\x1b|\u202e", line)
    assert "\n" not in title([one])


def test_a_body_is_cut_between_findings_and_says_so() -> None:
    many = [outcome("word " * 100, number) for number in range(100)]
    text = body(many, run(*many), mark(*many))
    assert len(text) <= MAX_BODY
    assert re.search(r"^\.\.\. and \d+ more fixes: see the commits", text, re.MULTILINE)
    assert len((read_note(Mark, text) or mark()).fixes) == 100
    assert text.rstrip().endswith("</sub>")


def test_a_dashboard_is_cut() -> None:
    many = [replace(outcome("y"), status=Status.FAILED, reason=f"{number} " * 60) for number in range(3000)]
    text = render([], run(*many), Memory(first_seen={}))
    assert len(text) < 65_536
    assert "more" in text


@pytest.mark.parametrize(
    "broken", ["", "<!-- fixbot:pull AAAA -->", "<!-- fixbot:pull " + "A" * 70_000 + " -->", "<!-- fixbot:memory eJwDAAAAAAE= -->"]
)
def test_a_note_that_cannot_be_read_is_missing(broken: str) -> None:
    assert read_note(Mark, broken) is None


def test_a_note_that_swells_is_not_unpacked() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"[" * (40 << 20), 9)).decode()
    assert len(bomb) < 60_000
    assert read_note(Mark, f"<!-- fixbot:pull {bomb} -->") is None


def test_notes_survive_what_people_write_around_them() -> None:
    note = write_note(mark(outcome(PLAIN)))
    assert read_note(Mark, f"Looks good!\r\n{note}\r\n\r\nmore") == mark(outcome(PLAIN))


def test_rules_are_linked_where_their_pages_have_an_address() -> None:
    one = outcome(PLAIN)
    url = "https://example.com/o/fixbot/blob/main/detectors/rules"
    linked = body([one], run(one), mark(one), f"{url}/")
    assert f"### `undefined-name` ([the rule]({url}/names_imports/undefined_name.md))" in linked
    assert (Path(__file__).parents[1] / "detectors/rules/names_imports/undefined_name.md").is_file()
    assert "https://" not in body([one], run(one), mark(one))


@pytest.mark.parametrize(
    "url", ["http://example.com/x", "https://example.com/x) [y](https://evil.example", "javascript:alert(1)", "https://x y"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"rules_url": url})

"""Run results made up for the reports' tests: of any size, or with hostile text in every field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fixbot.agent.result import Outcome, RunResult, Status
from fixbot.detectors.finding import CODEMOD, MODEL, Finding, ReadReport, Refused, Related, Severity, Span
from fixbot.detectors.project import Skipped

RULES = ("missing-timeout", "connection-not-closed", "undefined-name", "naive-datetime", "swallowed-exception", "failing-test")
DIFF = """--- a/{path}
+++ b/{path}
@@ -{line},4 +{line},5 @@
 def load(url):
     session = requests.Session()
-    answer = session.get(url)
+    answer = session.get(url, timeout=30)
+    answer.raise_for_status()
     return answer.json()
"""


def verdict(grade: str = "verified", **changes: Any) -> dict[str, Any]:
    """A verdict as run reports hold it."""
    return {
        "grade": grade,
        "reason": "",
        "tests_before": 60,
        "tests_after": 60,
        "newly_failing": [],
        "newly_passing": [],
        "flaky": [],
        "changed_lines_covered": {"executed": 2, "changed": 2},
        "executed_by": [f"tests/test_load.py::test_load_{number}" for number in range(7)],
        "finding_gone": True,
        "proof_test": None,
    } | changes


def outcome(number: int, status: Status, severity: Severity) -> Outcome:
    """An outcome that looks like a real one."""
    rule = RULES[number * 5 % len(RULES)]
    path = f"services/part_{number % 60:02}/module_{number % 7}.py"
    finding = Finding(
        rule=rule,
        severity=severity,
        path=path,
        span=Span(10 + number % 400, 5, 10 + number % 400, 30),
        message=f"`session.get(url)` number {number} waits for ever when the other side does not answer",
        scope=f"load_{number % 50}",
        fingerprint=f"{number:016x}",
        related=(Related("services/config.py", 3, "the address is set here"),) if number % 5 == 0 else (),
        fix=CODEMOD if number % 3 else MODEL,
        sources=("fixbot", "REVIEW.md#BUG-07") if number % 9 == 0 else (),
    )
    diff = DIFF.format(path=path, line=finding.span.line)
    patch: dict[str, Any] = {"origin": "codemod", "safety": "safe", "bases": {}, "edits": [], "diff": diff}
    match status:
        case Status.FIXED if number % 4 == 0:
            proof = {"path": "tests/test_proof.py", "source": "def test_load():\n    assert load('http://x')\n", "kept": True, "reason": ""}
            spend = {"model": "some-model", "tokens": 1234, "cost": 0.0123}
            return Outcome(finding, status, "", patch, verdict(proof_test=proof), "c0ffee" * 6, spend)
        case Status.FIXED:
            return Outcome(finding, status, "", patch, verdict(), "c0ffee" * 6)
        case Status.REGRESSED:
            return Outcome(finding, status, "1 test gets worse", patch, verdict("checked", newly_failing=["tests/test_a.py::test_old"]))
        case Status.UNVERIFIABLE:
            return Outcome(finding, status, "no test ran", patch, verdict("unverifiable", reason="the suite did not end in time"))
        case _:
            return Outcome(finding, status, "the reason is told here")


def result(count: int) -> RunResult:
    """A run with so many findings of all severities and statuses."""
    statuses = [Status.FIXED] * 6 + [status for status in Status if status is not Status.FIXED]
    some = tuple(outcome(number, statuses[number % len(statuses)], list(Severity)[number * 7 % 11 % 4]) for number in range(count))
    refused = (Refused("BUG-09", "Retries never end", "no file of that name"), Refused("H-1", "Summary", "", heading_only=True))
    return RunResult(
        run="20260102-abcdef",
        repository="/home/somebody/work/shop-backend",
        base="0123456789" * 4,
        branch="fixbot/0123456789",
        tip="9" * 40,
        outcomes=some,
        files=812,
        clean_files=752,
        skipped=tuple(Skipped(f"vendor/file_{number}.py", "vendored") for number in range(14)),
        notes=("the work tree has uncommitted changes; fixbot works on `HEAD`",),
        tests={"passed": 412, "failed": 3, "flaky": ["tests/test_net.py::test_slow"], "problem": ""},
        suite_runs=9,
        seconds={"scan": 2.31, "environment": 14.02, "tests": 171.4, "model": 64.0, "proof": 41.5, "commit": 0.42, "deliver": 0.11},
        sandbox="bwrap",
        environment="Python 3.12.4 of .venv",
        spend={"model": "some-model", "calls": 12, "tokens": 45678, "cost": 0.0321, "estimated": False, "prompts": {}},
        reports=(ReadReport("REVIEW.md", 6, 4, refused, (Refused("BUG-02", "Two places", "the second was not found"),)),),
        delivery=delivery("missing-timeout", "https://git.example/shop/pulls/12", "limit of 5 open ones"),
    )


def delivery(group: str, url: str, reason: str) -> dict[str, Any]:
    """What became of two pull requests, as run reports hold it."""
    one = {"group": group, "findings": ["f"], "branch": "fixbot/" + group}
    pulls = [
        one | {"action": "open", "number": 12, "url": url, "reason": ""},
        one | {"action": "wait", "number": None, "url": "", "reason": reason},
    ]
    return {"pulls": pulls, "dashboard": url, "notes": [reason]}


def hostile(text: str) -> RunResult:
    """A run that has ``text`` in every field that a repository, a model, a report or another tool can fill."""
    finding = Finding(
        rule=f"tool/{text}",
        severity=Severity.HIGH,
        path=f"a/{text}.py",
        span=Span(1, 1, 1, 2),
        message=text,
        scope=text,
        fingerprint=text,
        related=(Related(text, 1, text),),
        sources=(text,),
    )
    patch: dict[str, Any] = {
        "origin": "model",
        "safety": "safe",
        "bases": {},
        "edits": [],
        "diff": f"--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-x{text}\n+y{text}\n",
    }
    proof = {"path": text, "source": text, "kept": False, "reason": text}
    told = verdict(reason=text, newly_passing=[text], executed_by=[text, text], flaky=[text], proof_test=proof)
    worse = verdict(newly_failing=[text])
    some = (
        Outcome(finding, Status.FIXED, text, patch, told, text, {"model": text, "tokens": 1, "cost": None}),
        Outcome(replace(finding, severity=Severity.LOW), Status.REGRESSED, text, {**patch, "diff": text}, worse),
    )
    return RunResult(
        run=text,
        repository=f"/home/{text}",
        base=text,
        branch=text,
        tip=text,
        outcomes=some,
        files=2,
        clean_files=0,
        skipped=(Skipped(text, text),),
        notes=(text,),
        tests={"passed": 0, "failed": 0, "flaky": [text], "problem": text},
        suite_runs=1,
        seconds={text: 1.0},
        sandbox=text,
        environment=text,
        spend={"model": text, "calls": 1, "tokens": 1, "cost": None, "estimated": True, "prompts": {}},
        reports=(ReadReport(text, 1, 0, (Refused(text, text, text),), (Refused(text, text, text),)),),
        delivery=delivery(text, text, text) | {"error": text},
    )

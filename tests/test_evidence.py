"""Line evidence: which lines stand for a patch, whether passing tests executed them, and what a verdict says of it."""

from __future__ import annotations

import pytest

from fixbot.agent.verify.evidence import evidence_lines, executed
from fixbot.agent.verify.results import SuiteResult, TestOutcome, TestResult
from fixbot.agent.verify.verdict import compare, make_baseline
from fixbot.detectors.finding import Finding, Safety, Severity, Span
from fixbot.patchers.difference import edits_between
from fixbot.patchers.patch import Origin, Patch, apply_patches, blob_id


def lines_of(old: str, new: str, line: int) -> set[int]:
    base = {"a.py": old.encode()}
    patch = Patch(
        "f", "rule", Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(base["a.py"])}, edits_between("a.py", base["a.py"], new.encode())
    )
    finding = Finding("rule", Severity.LOW, "a.py", Span(line, 1, line, 2), "m", fingerprint="f")
    changed = apply_patches([patch], base)
    assert changed["a.py"] == new.encode()
    return set(evidence_lines([patch], {"f": finding}, base, changed)["f"].get("a.py", ()))


def test_added_import_is_tried_by_the_line_that_needed_it() -> None:
    assert lines_of(
        "import os\n\n\ndef f():\n    return wave.open\n", "import os\nimport wave\n\n\ndef f():\n    return wave.open\n", 5
    ) == {6}


def test_argument_on_a_line_of_its_own_counts_for_its_statement() -> None:
    old = "def f(get):\n    return get(\n        'url',\n    )\n"
    assert lines_of(old, "def f(get):\n    return get(\n        'url',\n        timeout=60,\n    )\n", 2) == {2}


def test_handler_and_its_body() -> None:
    old = "def f():\n    try:\n        g()\n    except:\n        pass\n"
    assert lines_of(old, "def f():\n    try:\n        g()\n    except ValueError:\n        log()\n", 4) == {4, 5}


def test_comments_and_blank_lines_are_no_evidence() -> None:
    assert lines_of("x = 1\n", "# why\n\nx = 1\n", 1) == set()


IN_A_FUNCTION = """\
import os


def f(x):
    try:
        g(x)
        log(x)
    except ValueError:
        h(x)
    else:
        if x:
            x += 1
            i(x)
        return x
    # why

    j(x)


def g(x):
    return x
"""


@pytest.mark.parametrize(
    ("removed", "lines"),
    [
        ("        g(x)\n", {6}),  # what comes next in the block
        ("        log(x)\n", {6}),  # the last of its block: what came before
        ("            x += 1\n", {12}),
        ("            i(x)\n", {12}),
        ("        if x:\n            x += 1\n            i(x)\n", {11}),
        ("        return x\n", set[int]()),  # what came before may have left the function
        ("    # why\n\n    j(x)\n", set[int]()),
        ("    # why\n", set[int]()),  # nothing that runs
        ("    else:\n        if x:\n            x += 1\n            i(x)\n        return x\n", set[int]()),  # a way through, not a place
        ("import os\n", set[int]()),
        ("\n\ndef g(x):\n    return x\n", set[int]()),
    ],
)
def test_a_removal_is_tried_where_control_passes_its_place(removed: str, lines: set[int]) -> None:
    assert IN_A_FUNCTION.count(removed) == 1
    assert lines_of(IN_A_FUNCTION, IN_A_FUNCTION.replace(removed, ""), 6) == lines


def test_a_removal_at_module_level() -> None:
    assert lines_of("x = 1\nprint(x)\ny = 2\n", "x = 1\ny = 2\n", 2) == {2}
    assert lines_of("x = 1\ny = 2\nz = 3\n", "x = 1\nz = 3\n", 2) == set()  # others may want the name
    assert lines_of("@cache\ndef f():\n    return 1\n", "def f():\n    return 1\n", 1) == set()
    assert lines_of("def f():\n    g()\n    h()\n\n\ni()\n", "def f():\n    g()\n\n\ni()\n", 3) == {2}


def test_a_removal_within_a_line_is_a_change_of_the_line() -> None:
    assert lines_of("x = 1\ny = f(a, b)\n", "x = 1\ny = f(a)\n", 2) == {2}


def test_shifted_by_another_patch() -> None:
    base = {"a.py": b"x = 1\ny = 2\nz = 3\n"}
    first = edits_between("a.py", base["a.py"], b"a = 0\nb = 0\nx = 1\ny = 2\nz = 3\n")
    second = edits_between("a.py", base["a.py"], b"x = 1\ny = 2\nz = 4\n")
    patches = [
        Patch(name, "rule", Origin.CODEMOD, Safety.SAFE, {"a.py": blob_id(base["a.py"])}, edits)
        for name, edits in (("one", first), ("two", second))
    ]
    findings = {name: Finding("rule", Severity.LOW, "a.py", Span(3, 1, 3, 2), "m", fingerprint=name) for name in ("one", "two")}
    found = evidence_lines(patches, findings, base, apply_patches(patches, base))
    assert (set(found["one"]["a.py"]), set(found["two"]["a.py"])) == ({1, 2}, {5})


def suite(**outcomes: TestOutcome) -> SuiteResult:
    tests = {name: TestResult(name, outcome, 0.1, lines={"a.py": (1, 2)} if name == "a" else {}) for name, outcome in outcomes.items()}
    return SuiteResult(tests, tuple(tests), {}, {"a.py": (3,)}, True, "", 0, 1.0, "", None, True)


def test_only_passing_tests_are_evidence() -> None:
    lines = {"a.py": frozenset({1, 2, 3, 4})}
    assert executed(lines, suite(a="passed", b="passed")) == ({("a.py", 1), ("a.py", 2), ("a.py", 3)}, ("a",))
    assert executed(lines, suite(a="failed", b="passed")) == ({("a.py", 3)}, ())


def test_compare_by_name_not_by_count() -> None:
    baseline = make_baseline([suite(a="passed", b="failed", c="passed", d="passed"), suite(a="passed", b="failed", c="failed", d="passed")])
    assert baseline.flaky == ("c",)
    assert compare(baseline, suite(a="passed", b="passed", c="failed", d="passed")).newly_passing == ("b",)
    for worse in (
        suite(a="skipped", b="failed", d="passed"),
        suite(b="failed", d="passed", e="passed"),
        suite(a="error", b="failed", d="passed"),
    ):
        assert compare(baseline, worse).newly_failing == ("a",)
    assert compare(baseline, suite(a="passed", d="passed")).good


def test_results_survive_json() -> None:
    one = suite(a="passed", b="failed")
    assert SuiteResult.from_json(one.to_json()) == one

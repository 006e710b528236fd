"""Bug reports: what is read from each shape of document, where its entries are placed, and what becomes findings."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest
from conftest import TARGET_PYTHON, MakeRepository, RunFixbot, write_tree

from fixbot.agent.config import REPOSITORY_KEYS
from fixbot.agent.manifest import REPORT, read_manifest, reported
from fixbot.detectors.engines.bug_report import MAX_ENTRIES, MAX_SIZE, BugReport, ReportError, parse_report, read_report
from fixbot.detectors.engines.report_entries import Entry
from fixbot.detectors.engines.report_findings import add_reports, place_report, speaks_of
from fixbot.detectors.engines.report_places import Placed
from fixbot.detectors.engines.report_text import Place, heading_severity, places, severity_of, title
from fixbot.detectors.finding import FixKind, Severity
from fixbot.detectors.project import discover
from fixbot.detectors.scan import Options, Scan, scan

ROOT = Path(__file__).parents[1]
SEEDS = ROOT.parent / "shared" / "seeds"
NAMES = {"1": "ai_agent_backend", "2": "bc_rao", "3": "generation_backend", "4": "creator_search", "5": "ai2text"}

APP = """import json


def load(path):
    with open(path) as file:
        return json.load(file)


def first(rows):
    return rows[0]["id"]


def total(rows):
    result = 0
    for row in rows:
        result += row["amount"]
    return result


class Store:
    def save(self, row):
        self.rows.append(row)
        return len(self.rows)
"""


def read(text: str, name: str = "R.md") -> BugReport:
    return parse_report(text.encode(), name)


def bugs(text: str) -> list[Entry]:
    return [entry for entry in read(text).entries if not entry.reason]


def one(text: str) -> Entry:
    (entry,) = bugs(text)
    return entry


def place(text: str, root: Path, files: dict[str, str | bytes] | None = None) -> dict[str, Placed]:
    write_tree(root, files or {"app/rows.py": APP})
    return place_report(read(text), discover(root))


def spots(placed: Placed) -> list[tuple[str, int, int]]:
    return [(spot.path, spot.line, spot.end_line) for spot in placed.spots]


def with_report(text: str, root: Path, files: dict[str, str | bytes], **options: object) -> Scan:
    write_tree(root, files)
    project, settings = discover(root), Options(**options)  # pyright: ignore[reportArgumentType]
    return add_reports(scan(project, settings), project, [read(text)], settings)


# Reading


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**File:** `a/b.py:53`", [("a/b.py", 53, 53)]),
        ("File: a.py (lines 3-9)", [("a.py", 3, 9)]),
        ("`a.py`, line 12 and `b.py` lines 3 to nowhere", [("a.py", 12, 12), ("b.py", 3, 3)]),
        ("a.py:79,92", [("a.py", 79, 79), ("a.py", 92, 92)]),
        ("app/a.py:186-190, 209-213", [("app/a.py", 186, 190), ("app/a.py", 209, 213)]),
        ("app/a.py:169, app/b.py:293", [("app/a.py", 169, 169), ("app/b.py", 293, 293)]),
        ("src/a.py#L10-L20", [("src/a.py", 10, 20)]),
        ("https://github.com/o/r/blob/main/src/a.py#L7", [("src/a.py", 7, 7)]),
        ("[a.py](src/a.py#L7)", [("a.py", 0, 0), ("src/a.py", 7, 7)]),
        (r"C:\work\app\a.py:12", [("C:/work/app/a.py", 12, 12)]),
        (r"app\sub\a.py", [("app/sub/a.py", 0, 0)]),
        ('File "/srv/app/a.py", line 12, in load', [("/srv/app/a.py", 12, 12)]),
        ("lines 3-4 of `a.py`", [("a.py", 3, 4)]),
        ("a.py:12:5: F821", [("a.py", 12, 12)]),
        ("a.py:0 and a.py:99999999999", [("a.py", 0, 0)]),
        ("e.g. version 1.2.3, time.time(), foo.python, http://x.example/y", []),
    ],
)
def test_places_of_a_line(text: str, expected: list[tuple[str, int, int]]) -> None:
    found = [(one.path, one.line, one.end_line) for one in places(text)]
    assert found == expected or (text.startswith("a.py:0") and {path for path, *_ in found} == {"a.py"})


@pytest.mark.parametrize(
    ("heading", "name", "words", "severity", "done"),
    [
        ("BUG-A05: Field Name Mismatch", "BUG-A05", "Field Name Mismatch", None, False),
        ("1. **Missing `wave` Import**", "1", "Missing `wave` Import", None, False),
        ("1.2 Python-Magic Missing", "1.2", "Python-Magic Missing", None, False),
        ("#2 [HIGH] Leak", "2", "[HIGH] Leak", Severity.HIGH, False),
        ("Issue #4: Slow start (P1)", "4", "Slow start", Severity.HIGH, False),
        ("3. **Lost rows** - CRITICAL ✅ FIXED", "3", "Lost rows", Severity.CRITICAL, True),
        ("🟠 Wrong total", "", "Wrong total", Severity.HIGH, False),
        ("Critical section is not locked", "", "Critical section is not locked", None, False),
        ("503 errors in the API", "503", "errors in the API", None, False),
    ],
)
def test_headings(heading: str, name: str, words: str, severity: Severity | None, done: bool) -> None:
    known = title(heading)
    assert (known.id, known.text, known.done) == (name, words, done)
    assert heading_severity(heading) is severity


def test_severity_words() -> None:
    expected = {"P0 (Critical)": "critical", "🔴 **CRITICAL** - down": "critical", "P3": "low", "🟡 slow": "medium", "Non-critical": "low"}
    for text, severity in expected.items():
        found = severity_of(text)
        assert found is not None
        assert found.value == severity
    assert severity_of("to be decided") is None


def test_fields_fences_and_severity() -> None:
    entry = one(
        "# Bugs\n\n### 1. **No default**\n**File:** `app/rows.py:10`\n**Severity:** 🔴 **CRITICAL** - crash\n\n**Issue:**\n```python\n"
        'return rows[0]["id"]  # ❌\n```\n\n**Fix:**\n```python\nreturn rows[0]["id"] if rows else None\n```\n'
    )
    assert (entry.id, entry.heading, entry.severity) == ("1", "No default", Severity.CRITICAL)
    assert entry.places == (Place("app/rows.py", 10, 10),)
    assert entry.problem == 'return rows[0]["id"]  # ❌'
    assert entry.fix == 'return rows[0]["id"] if rows else None'
    assert "crash" in entry.text


def test_bullets_and_before_after_in_one_fence() -> None:
    entry = one(
        "## Bugs\n### BUG-7: Total\n- **File:** app/rows.py:14-16, other.py:3\n- **Severity:** P2\n- **Fix:** as below:\n"
        "```python\n# Instead of:\nresult = 0\n# Use:\nresult = Decimal(0)\n```\n"
    )
    assert entry.places == (Place("app/rows.py", 14, 16), Place("other.py", 3, 3))
    assert (entry.problem, entry.fix, entry.severity) == ("result = 0", "result = Decimal(0)", Severity.MEDIUM)


def test_diff_fence() -> None:
    entry = one(
        "## 1. Total\n```diff\n--- a/app/rows.py\n+++ b/app/rows.py\n@@ -13,2 +13,2 @@\n"
        " def total(rows):\n-    result = 0\n+    result = 1\n```\n"
    )
    assert entry.places == (Place("app/rows.py"),)
    assert entry.problem.split("\n")[:2] == ["def total(rows):", "    result = 0"]
    assert "result = 1" in entry.fix
    assert "result = 0" not in entry.fix


def test_numbered_groups_hand_down_file_and_severity() -> None:
    found = bugs(
        "## 🔴 Critical Issues\n### 4. Auth\n**File**: `app/auth.py`, `app/routes.py`\n**Impact**: High - fails\n"
        "#### 4.1 Token\n```python\n# File: app/auth.py:3\nAttributeError: x\n```\n#### 4.2 Cycle\nNobody knows.\n"
    )
    assert [(entry.id, entry.severity) for entry in found] == [("4.1", Severity.HIGH), ("4.2", Severity.HIGH)]
    assert found[0].places == (Place("app/auth.py", 3, 3),)
    assert found[1].places == (Place("app/auth.py"), Place("app/routes.py"))


def test_list_items_and_paragraphs_are_entries() -> None:
    found = bugs(
        "# Review\n\n## High\n\n- `app/rows.py:10`: fails for an empty list\n- **Total is slow** in app/rows.py:14\n\n"
        "  More of it.\n- no place here\n\n"
        "## Files scanned\n\n- app/rows.py:1 looks clean to me\n"
    )
    assert [(entry.heading, entry.places[0].line, entry.severity) for entry in found] == [
        ("fails for an empty list", 10, Severity.HIGH),
        ("Total is slow", 14, Severity.HIGH),
    ]
    assert len({entry.id for entry in found}) == 2


def test_list_of_places_belongs_to_its_heading() -> None:
    entry = one("## 3. Rows are trusted\n- app/rows.py:10\n- app/rows.py:16\n")
    assert [one.line for one in entry.places] == [10, 16]


def test_table_rows_are_entries() -> None:
    found = bugs(
        "## Results\n\n| ID | File | Line | Severity | Problem |\n|---|---|---|---|---|\n| B1 | `app/rows.py` | 10 | High | Empty list |\n"
        "| B2 | app/rows.py | 14-16 | Low | Slow |\n\n| Severity | Count |\n|---|---|\n| High | 1 |\n"
    )
    assert [(entry.id, entry.heading, entry.severity, entry.places) for entry in found] == [
        ("B1", "Empty list", Severity.HIGH, (Place("app/rows.py", 10, 10),)),
        ("B2", "Slow", Severity.LOW, (Place("app/rows.py", 14, 16),)),
    ]


def test_table_of_an_index_does_not_repeat_its_entries() -> None:
    text = "## 1. Total\n**File:** app/rows.py:14\n\n## Summary\n| # | File | Problem |\n|---|---|---|\n| 1 | app/rows.py:14 | Total |\n"
    assert [entry.id for entry in bugs(text)] == ["1"]


def test_bold_lines_front_matter_and_traceback() -> None:
    entry = one(
        "---\nstatus: open\nfile: x.py:3\n---\n\n**BUG-3: Crash at night**\n\nSeen twice:\n\n```\nTraceback (most recent call last):\n"
        '  File "/srv/x/main.py", line 3, in <module>\n  File "/srv/x/app/rows.py", line 10, in first\n'
        "IndexError: list index out of range\n```\n"
    )
    assert entry.id == "BUG-3"
    assert entry.places == (Place("/srv/x/app/rows.py", 10, 10),)


def test_summaries_and_advice_are_no_bugs() -> None:
    report = read(
        "# Bug report\n## Summary\nTwo bugs.\n## Critical\n### 1. Total\n**File:** app/rows.py:14\n## Recommendations\n### 1. Add tests\n"
        "```python\n# in app/rows.py\n```\n## Statistics\n| Severity | Count |\n|---|---|\n| High | 2 |\n"
    )
    reasons = {entry.id: entry.reason for entry in report.entries}
    assert reasons["1"] == ""
    assert reasons["1~2"].startswith("part of a summary, of advice")
    assert reasons["critical"] == "the heading of 1 entry"
    assert len(report.entries) == 7


def test_broken_encodings_are_mended() -> None:
    text = "### 1. Größe \u2013 falsch ✅ FIXED\n**File:** `app/rows.py:10`\n**Severity:** 🔴 **CRITICAL**\n"
    for data in (
        text.encode(),
        text.encode("utf-8-sig"),
        text.encode("utf-16"),
        text.encode().decode("cp1252", "replace").encode(),
        text.encode().decode("mac_roman").encode(),
    ):
        (entry,) = parse_report(data, "R.md").entries
        assert (entry.id, entry.severity, entry.places) == ("1", Severity.CRITICAL, (Place("app/rows.py", 10, 10),))


# Placing


def test_line_that_is_right(tmp_path: Path) -> None:
    assert spots(place("## 1. Total\n**File:** app/rows.py:14-16\n", tmp_path)["1"]) == [("app/rows.py", 14, 16)]


def test_stale_line_with_quoted_code(tmp_path: Path) -> None:
    text = "## 1. Total\n**File:** rows.py:3\n**Issue:**\n```python\nfor row in rows:\n  result += row['amount']   # ❌ text\n```\n"
    assert spots(place(text, tmp_path)["1"]) == [("app/rows.py", 15, 16)]


def test_stale_line_with_inline_code(tmp_path: Path) -> None:
    text = '## 1. First\n**File:** app/rows.py:13\n**Issue:** `rows[0]["id"]` fails for an empty list\n'
    assert spots(place(text, tmp_path)["1"]) == [("app/rows.py", 10, 10)]


def test_far_code_does_not_beat_a_stated_line_when_it_is_common(tmp_path: Path) -> None:
    body = "def f():\n    return compute(value)\n\n\n"
    text = "## 1. F\n**File:** a.py:100\n```python\n    return compute(value)\n```\n"
    assert spots(place(text, tmp_path, {"a.py": body + "x = 1\n" * 200 + body})["1"]) == [("a.py", 100, 100)]


def test_two_lines_take_the_nearest_code_each(tmp_path: Path) -> None:
    text = '## 1. Both\n**File:** app/rows.py:12,18\n```python\nreturn rows[0]["id"]\n\nresult += row["amount"]\n```\n'
    assert spots(place(text, tmp_path)["1"]) == [("app/rows.py", 10, 10), ("app/rows.py", 16, 16)]


def test_file_without_a_line(tmp_path: Path) -> None:
    code = "## 1. A\n**File:** app/rows.py\n```python\nself.rows.append(row)\n```\n"
    name = "## 1. A\n**File:** app/rows.py\n**Issue:** `total()` is slow\n"
    prose = "## 1. A\n**Problem:** `app/rows.py` reads the row on line 10\n"
    nothing = "## 1. A\n**File:** app/rows.py\n**Issue:** it is bad\n"
    assert spots(place(code, tmp_path)["1"]) == [("app/rows.py", 22, 22)]
    assert spots(place(name, tmp_path)["1"]) == [("app/rows.py", 13, 17)]
    assert spots(place(prose, tmp_path)["1"]) == [("app/rows.py", 10, 10)]
    assert "no line is given" in place(nothing, tmp_path)["1"].reason


def test_no_file_at_all(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"app/rows.py": APP, "b.py": 'def gone(row):\n    result = row["amount"] * 2\n'}
    code = "## 1. A\n**Issue:**\n```python\n    for row in rows:\n        result += row['amount']\n```\n"
    name = "## 1. A\n**Issue:** `first()` fails for an empty list\n"
    word = "## 1. A\n**Issue:** the `first` row is lost\n"
    assert spots(place(code, tmp_path, files)["1"]) == [("app/rows.py", 15, 16)]
    assert spots(place(name, tmp_path, files)["1"]) == [("app/rows.py", 9, 10)]
    assert place(word, tmp_path, files)["1"].reason == "it names no file and quotes no code"


def test_several_files_that_are_not_named(tmp_path: Path) -> None:
    line = 'tmp = "/tmp/__rows.json"\n'
    text = "## 1. A\n**File:** Multiple services\n**Issue:**\n```python\n" + line + "```\n"
    found = place(text, tmp_path, {"a.py": line, "b/c.py": "x = 1\n" + line, "d.py": "x = 2\n"})["1"]
    assert spots(found) == [("a.py", 1, 1), ("b/c.py", 2, 2)]
    nothing = place("## 1. A\n**File:** Multiple\n**Issue:** all over\n", tmp_path)["1"]
    assert nothing.reason == "it names several files but none of them"


def test_text_of_an_error_finds_its_line(tmp_path: Path) -> None:
    text = "## 1. A\n**File:** Multiple\n```python\nModuleNotFoundError: No module named 'redis'\n```\n"
    found = place(
        text, tmp_path, {"a.py": "import os\nimport redis\n", "b.py": "import redistribute\n", "tests/test_a.py": "import redis\n"}
    )
    assert spots(found["1"]) == [("a.py", 2, 2)]


def test_paths_are_resolved_inside_the_project_only(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "app/rows.py": APP,
        "web/x.js": "1\n",
        "a/main.py": "x = 1\n",
        "b/main.py": "x = 2\n",
        "vendor/v.py": "x\n",
        "made.py": "# @generated\nx = 1\n",
    }
    expected = {
        "backend/app/rows.py:10": "app/rows.py",
        "/home/me/work/app/rows.py:10": "app/rows.py",
        r"D:\src\app\rows.py:10": "app/rows.py",
        "rows.py:10": "app/rows.py",
        "../app/rows.py:10": "leads out of the project",
        "app/../../rows.py:10": "leads out of the project",
        "/etc/passwd.py:1": "no such file",
        "main.py:1": "fits 2 files",
        "web/x.js:1": "not Python",
        "vendor/v.py:1": "not scanned (vendored)",
        "made.py:2": "not scanned (generated)",
        "app/rows.py:999": "has no line 999",
    }
    for stated, words in expected.items():
        found = place(f"## 1. A\n**File:** `{stated}`\n**Issue:** bad\n", tmp_path, files)["1"]
        if words.endswith(".py"):
            assert spots(found) == [(words, 10, 10)], stated
        else:
            assert words in found.reason, stated


def test_short_path_means_the_neighbour_of_the_one_before(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a/one.py": "x = 1\n", "a/two.py": "x = 1\n", "b/two.py": "x = 1\n"}
    found = place("## 1. A\n**File:** a/one.py:1, two.py:1\n", tmp_path, files)["1"]
    assert spots(found) == [("a/one.py", 1, 1), ("a/two.py", 1, 1)]


def test_a_place_that_is_missing_is_told(tmp_path: Path) -> None:
    found = with_report("## 1. A\n**File:** app/rows.py:10, gone.py:3\n", tmp_path, {"app/rows.py": APP})
    assert found.reports[0].placed == 1
    assert [(one.id, one.reason) for one in found.reports[0].partly] == [("1", "gone.py: no such file")]


# Findings


def test_finding_of_an_entry(tmp_path: Path) -> None:
    text = "## BUG-1: Empty list\n**File:** app/rows.py:10\n**Severity:** high\n**Issue:** crash\n"
    found = with_report(text, tmp_path, {"app/rows.py": APP})
    (finding,) = found.findings
    assert (finding.rule, finding.severity, finding.fix.kind) == ("reported-bug", Severity.HIGH, FixKind.MODEL)
    assert (finding.path, finding.span.line, finding.span.column, finding.scope) == ("app/rows.py", 10, 5, "first")
    assert finding.sources == ("R.md#BUG-1",)
    assert finding.message == "Empty list (R.md#BUG-1)"
    (fact,) = finding.facts["reports"]
    assert (fact["report"], fact["id"], fact["heading"]) == ("R.md", "BUG-1", "Empty list")
    assert "crash" in fact["text"]


def test_fingerprint_does_not_depend_on_lines(tmp_path: Path) -> None:
    text = '## 1. Empty list\n**File:** app/rows.py:10\n```python\nreturn rows[0]["id"]\n```\n'
    before = with_report(text, tmp_path / "a", {"app/rows.py": APP}).findings
    after = with_report(text.replace(":10", ":12"), tmp_path / "b", {"app/rows.py": "import os\n\n\n" + APP}).findings
    other = with_report(text.replace("Empty", "Long"), tmp_path / "c", {"app/rows.py": APP}).findings
    assert before[0].span.line != after[0].span.line
    assert before[0].fingerprint == after[0].fingerprint != other[0].fingerprint


def test_same_thing_as_a_detector_is_one_finding(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a.py": "def f(path):\n    return wave.open(path)\n"}
    alone = with_report("# nothing\n", tmp_path, files).findings
    same = with_report("## 1. Missing `wave` import\n**File:** a.py:2\n**Issue:** NameError\n", tmp_path, files).findings
    other = with_report("## 1. Files stay open\n**File:** a.py:2\n**Issue:** nobody closes it\n", tmp_path, files).findings
    assert [one.rule for one in same] == ["undefined-name"]
    assert same[0].sources == ("fixbot", "R.md#1")
    assert same[0].fingerprint == alone[0].fingerprint
    assert same[0].facts["reports"][0]["heading"] == "Missing `wave` import"
    assert sorted(one.rule for one in other) == ["reported-bug", "undefined-name"]
    assert all(not one.sources for one in alone)


def test_a_rule_without_subjects_is_known_by_its_id() -> None:
    entry = Entry("1", "The client is never closed", text="Redis client leaks")
    assert speaks_of(entry, "unclosed-client")
    assert not speaks_of(entry, "duplicate-route")


def test_selection_suppression_baseline_and_changed_lines(tmp_path: Path) -> None:
    text = "## 1. Empty list\n**File:** a.py:2\n"
    files: dict[str, str | bytes] = {"a.py": "def f(rows):\n    return rows[0]  # fixbot: ignore[reported-bug] known\n"}
    muted = with_report(text, tmp_path, files)
    assert [one.rule for one in muted.findings] == []
    assert [one.rule for one in muted.suppressed] == ["reported-bug"]
    files = {"a.py": "def f(rows):\n    return rows[0]\n"}
    found = with_report(text, tmp_path, files)
    known = frozenset(one.fingerprint for one in found.findings)
    assert len(known) == 1
    assert not with_report(text, tmp_path, files, baseline=known).findings
    assert not with_report(text, tmp_path, files, changed={"a.py": [(1, 1)]}).findings
    assert with_report(text, tmp_path, files, changed={"a.py": [(2, 2)]}).findings
    assert not with_report(text, tmp_path, files, select=("errors",)).findings
    assert with_report(text, tmp_path, files, select=("reports",)).findings


# Hostile


def test_limits() -> None:
    with pytest.raises(ReportError, match="larger than 1 MiB"):
        parse_report(b"x" * (MAX_SIZE + 1), "R.md")
    with pytest.raises(ReportError, match="NUL"):
        parse_report(b"# a\0b", "R.md")
    with pytest.raises(ReportError, match="lines"):
        parse_report(b"a\n" * 20_001, "R.md")
    with pytest.raises(ReportError, match="entries"):
        parse_report(b"# a\n" * (MAX_ENTRIES + 1), "R.md")
    assert parse_report(b"", "R.md").entries == ()
    assert [entry.reason for entry in parse_report(b"just words, no entry\n", "R.md").entries] == []


@pytest.mark.parametrize(
    "text",
    [
        "> " * 20_000 + "# x",
        "- " * 20_000 + "x",
        "[" * 100_000,
        "`" * 100_000,
        "*a " * 50_000,
        "a/" * 50_000 + "x.py:1",
        "a.b-" * 50_000 + ".py",
        "**File:** " + "x.py:1, " * 20_000,
        "|" + "a|" * 5000 + "\n|" + "-|" * 5000 + "\n|" + "b|" * 5000,
        "## 1. x\n```python\n" + "x = call(argument)\n" * 5000 + "```\n**File:** a.py:1\n",
        "## 1. x\nNo module named '" + "a" * 50_000,
    ],
    ids=range(11),
)
def test_hostile_shapes_end_soon(text: str, tmp_path: Path) -> None:
    start = time.monotonic()
    place(text, tmp_path, {"a.py": "x = call(argument)\n" * 5000})
    assert time.monotonic() - start < 10


def test_control_characters_and_markup_do_not_survive(tmp_path: Path) -> None:
    text = "## 1. A\x1b[31m\u202eb\x07\x00c\n**File:** app/rows.py:10\n**Issue:** \x1b]8;;http://x\x07 ok\u200b\n".replace("\x00", "")
    (finding,) = with_report(text, tmp_path, {"app/rows.py": APP}).findings
    shown = json.dumps(finding.to_json(), ensure_ascii=False)
    assert not re.search(r"[\x00-\x1f\x7f\u200b\u202e]|\\u00", shown)


def test_long_text_is_cut(tmp_path: Path) -> None:
    code = "\n".join(f"value_{number} = compute({number})" for number in range(500))
    (finding,) = with_report(f"## 1. A\n**File:** app/rows.py:10\n```python\n{code}\n```\n", tmp_path, {"app/rows.py": APP}).findings
    assert all(len(finding.facts["reports"][0][name]) <= 2000 for name in ("text", "problem", "fix"))


def test_links_are_not_followed(tmp_path: Path) -> None:
    write_tree(tmp_path / "outside", {"secret.py": "KEY = 1\n"})
    write_tree(tmp_path / "in", {"a.py": "x = 1\n"})
    os.symlink(tmp_path / "outside" / "secret.py", tmp_path / "in" / "link.py")
    os.symlink(tmp_path / "outside" / "secret.py", tmp_path / "in" / "requirements.txt")
    for name in ("link.py", "requirements.txt"):
        found = place_report(read(f"## 1. A\n**File:** {name}:1\n"), discover(tmp_path / "in"))["1"]
        assert found.spots == ()
        assert "link" in found.reason or "cannot be read" in found.reason


# Command line


def test_check_shows_what_was_placed(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "repo", {"app/rows.py": APP})
    report = tmp_path / "REVIEW.md"
    report.write_text("# Review\n## 1. Empty\n**File:** app/rows.py:10\n## 2. Lost\n**File:** gone.py:1\n")
    shown = fixbot("check", str(tmp_path / "repo"), "--bug-report", str(report))
    assert shown.returncode == 1
    assert "REVIEW.md: 1 of 2 entries placed; 1 heading without a bug of its own" in shown.stdout
    assert "not placed: 2 Lost: gone.py: no such file" in shown.stdout
    named = fixbot("check", str(tmp_path / "repo"), "--output-format", "json", env={"FIXBOT_BUG_REPORT": str(report)})
    data = json.loads(named.stdout)
    (entry,) = data["reports"]
    assert (entry["file"], entry["entries"], entry["placed"]) == ("REVIEW.md", 3, 1)
    assert entry["entries"] == entry["placed"] + len(entry["refused"])
    assert data["findings"][0]["sources"] == ["REVIEW.md#1"]


def test_run_reports_entries_and_leaves_them_to_a_model(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({"app/rows.py": APP, "test_rows.py": "def test_rows():\n    assert True\n"})
    report = tmp_path / "REVIEW.md"
    report.write_text("# Review\n## 1. Empty\n**File:** app/rows.py:10\n## 2. Lost\n**File:** gone.py:1\n")
    done = fixbot("run", folder, "--python", TARGET_PYTHON, "--bug-report", report, "--output-format", "json", "--quiet")
    data = json.loads(done.stdout)
    assert [(one["rule"], one["status"], one["sources"]) for one in data["findings"]] == [("reported-bug", "needs-model", ["REVIEW.md#1"])]
    assert (data["reports"][0]["placed"], data["reports"][0]["entries"]) == (1, 3)
    shown = fixbot("report", "last", "--markdown").stdout
    assert "## Bug report `REVIEW.md`" in shown
    assert "- **Not placed:** 2, Lost: gone.py: no such file" in shown
    assert "- **Sources:** REVIEW.md\\#1" in shown
    assert "1 of 2 entries placed" in fixbot("report", "last").stdout


def test_report_that_cannot_be_used(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path, {"a.py": "x = 1\n"})
    done = fixbot("check", str(tmp_path), "--bug-report", str(tmp_path / "none.md"))
    assert done.returncode == 2
    assert "none.md cannot be used: it cannot be read" in done.stderr
    write_tree(tmp_path, {"one/R.md": "# a\n", "two/R.md": "# a\n"})
    twice = fixbot("check", str(tmp_path), "--bug-report", str(tmp_path / "one/R.md"), "--bug-report", str(tmp_path / "two/R.md"))
    assert twice.returncode == 2
    assert "two bug reports are named R.md" in twice.stderr


def test_repository_cannot_name_a_report(fixbot: RunFixbot, tmp_path: Path) -> None:
    assert "bug-report" not in REPOSITORY_KEYS
    write_tree(tmp_path, {"pyproject.toml": '[tool.fixbot]\nbug-report = ["/etc/passwd"]\n', "a.py": "x = 1\n"})
    done = fixbot("check", str(tmp_path))
    assert done.returncode == 2
    assert "may not set" in done.stderr


# Real documents


@pytest.mark.parametrize("number", sorted(NAMES))
def test_every_entry_of_the_seeds_is_placed_or_refused(number: str, tmp_path: Path) -> None:
    seed = next(SEEDS.glob(f"{number}-*.md"), None) if SEEDS.is_dir() else None
    if seed is None:
        pytest.skip("the five reports are not beside this checkout (../shared/seeds)")
    report = read_report(seed)
    project = discover(ROOT / "eval_repos" / NAMES[number] / "repo")
    placed = place_report(report, project)
    assert len(placed) == len(report.entries)
    assert all(bool(one.spots) is not bool(one.reason) for one in placed.values())
    headings = len(re.findall(r"^#{1,6} ", re.sub(r"^( *)```.*?^\1```", "", seed.read_text("utf-8"), flags=re.M | re.S), re.MULTILINE))
    assert len(report.entries) >= headings  # nothing is lost
    count = sum(bool(one.spots) for one in placed.values())
    assert count >= {"1": 10, "2": 18, "3": 1, "4": 2, "5": 9}[number]
    print(f"{seed.name}: {count} of {sum(not entry.reason for entry in report.entries)} bugs placed, {len(report.entries)} entries")


@pytest.mark.parametrize("name", sorted(NAMES.values()))
def test_reports_of_the_evaluation_repositories(name: str) -> None:
    folder = ROOT / "eval_repos" / name
    manifest = read_manifest(folder)
    project = discover(folder / "repo")
    told = reported(folder, manifest, project)
    assert [bug.id for bug in manifest.bug if not told.get(bug.id)] == []
    placed = place_report(read_report(folder / REPORT), project)
    assert all(one.spots for one in placed.values() if not one.entry.reason)

"""A review without its screen: decisions, undo, filters; what is written to the work tree and to branches; what later runs know of it."""

from __future__ import annotations

import json
import sqlite3
import stat
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import RunFixbot, git
from review_rig import APP, SETTINGS, Finished, verdict

from fixbot.agent.decisions import Kind, Source
from fixbot.agent.errors import BusyError, RepositoryError, UsageError
from fixbot.agent.result import Outcome, Status
from fixbot.agent.review.fixes import beneath, from_sides, sides, together
from fixbot.agent.review.muting import BASELINE, baseline, comment
from fixbot.agent.review.session import Entry, Mark, Muting, Review
from fixbot.agent.review.view import summary
from fixbot.agent.review.writing import to_branch, to_tree, write
from fixbot.agent.store import Ledger
from fixbot.detectors.finding import Finding, Severity, Span
from fixbot.detectors.project import discover
from fixbot.detectors.scan import scan
from fixbot.patchers.patch import Origin, apply_edits

PATCH: dict[str, Any] = {"origin": "codemod", "safety": "safe", "bases": {}, "edits": [], "diff": ""}


def outcome(name: str, status: Status = Status.FIXED, rule: str = "bare-except") -> Outcome:
    one = Finding(rule, Severity.HIGH, f"{name}.py", Span(1, 1, 1, 5), f"message of {name}", fingerprint=name)
    return Outcome(one, status, "why", PATCH, verdict() if status is Status.FIXED else None)


def review(*outcomes: Outcome) -> tuple[Review, list[Mapping[str, Entry]]]:
    saved: list[Mapping[str, Entry]] = []

    def save(entries: Mapping[str, Entry]) -> str:
        saved.append(entries)
        return ""

    return Review({one.finding.fingerprint: Entry(one) for one in outcomes}, save), saved


def test_decisions_are_saved_and_can_be_undone_in_turn() -> None:
    here, saved = review(outcome("a"), outcome("b"), outcome("c"))
    assert here.accept("a") == ""
    assert here.reject("b", Kind.WRONG_FIX, "no") == ""
    assert here.skip("a") == ""
    assert [(name, one.status) for some in saved for name, one in some.items()] == [("a", "accepted"), ("b", "wrong-fix"), ("a", "skipped")]
    assert here.undo() == ["a"]
    assert here.entries["a"].mark is Mark.ACCEPTED
    assert (here.undo(), here.undo(), here.undo()) == (["b"], ["a"], [])
    assert here.counts() == {"open": 3}
    assert {name: one.mark for name, one in saved[-1].items()} == {"a": Mark.OPEN}


def test_what_could_not_be_saved_is_saved_with_the_next_decision(finished: Finished) -> None:
    wave, shutil = finished.name("wave"), finished.name("shutil")
    with finished.desk() as desk:
        with closing(sqlite3.connect(finished.state / "ledger.sqlite", isolation_level=None)) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON reviews BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
            desk.review.accept(wave)
            assert "not saved: " in desk.review.problem
            assert "disk is full" in summary(desk.review).plain
            other.execute("DROP TRIGGER full")
        desk.review.reject(shutil, Kind.LATER)
        assert desk.review.problem == ""
    assert finished.decisions() == {wave: "accepted", shutil: "later"}


def test_all_of_a_rule_are_the_proven_and_open_ones() -> None:
    here, saved = review(
        outcome("a"), outcome("b", rule="missing-timeout"), outcome("c", Status.UNVERIFIABLE), outcome("d"), outcome("e"), outcome("f")
    )
    here.reject("e", Kind.LATER)
    assert here.accept_rule("bare-except") == 3
    assert {name for name, one in here.entries.items() if one.mark is Mark.ACCEPTED} == {"a", "d", "f"}
    assert sorted(here.undo()) == ["a", "d", "f"]
    assert here.accept_rule("failing-test") == 0
    assert len(saved) == 3


@pytest.mark.parametrize("status", [Status.REGRESSED, Status.FAILED])
def test_a_fix_that_was_dropped_cannot_be_accepted(status: Status) -> None:
    here, saved = review(outcome("a", status), replace(outcome("b", Status.NEEDS_MODEL), patch=None), outcome("c", Status.UNVERIFIABLE))
    assert "e edits it" in here.accept("a")
    assert "no fix to accept" in here.accept("b")
    assert not saved
    assert here.accept("c") == "", "a person may take what the tests cannot tell"


def test_a_revised_fix_that_is_worse_is_open_again() -> None:
    here, _ = review(outcome("a"), outcome("b"))
    for name in "ab":
        here.accept(name)
    here.revise("a", outcome("a", Status.REGRESSED))
    here.revise("b", replace(outcome("b"), reason="better"))
    assert [one.mark for one in here.entries.values()] == [Mark.OPEN, Mark.ACCEPTED]
    here.undo()
    here.undo()
    assert not any(one.revised for one in here.entries.values())


def test_filter_and_the_next_open_finding() -> None:
    here, _ = review(outcome("a"), outcome("b", rule="missing-timeout"), outcome("c"))
    here.query = "HIGH bare"
    assert [one.fingerprint for one in here.shown()] == ["a", "c"]
    assert (here.next_open("a"), here.next_open("c")) == ("c", "a")
    here.skip("c")
    assert here.next_open("a") == "a"
    here.query = "skipped"
    assert [one.fingerprint for one in here.shown()] == ["c"]
    assert here.next_open("c") is None
    here.query = "nothing like it"
    assert here.shown() == []


def test_what_was_applied_is_no_longer_decided() -> None:
    here, _ = review(outcome("a"), outcome("b"))
    here.accept("a")
    here.reject("b", Kind.FALSE_POSITIVE, muting=Muting.BASELINE)
    assert [one.fingerprint for one in here.pending()] == ["a", "b"]
    here.applied(here.pending(), "the work tree")
    assert (here.pending(), here.undo()) == ([], [])
    assert "already applied" in here.reject("a", Kind.LATER)
    assert "already applied" in here.skip("b")


# With a run


def test_a_review_goes_on_where_it_was_left(finished: Finished) -> None:
    wave, shutil = finished.name("wave"), finished.name("shutil")
    with finished.desk() as desk:
        assert [one.outcome.finding.severity.rank for one in desk.review.entries.values()] == [0, 0, 0, 2]
        desk.review.accept(wave)
        desk.review.reject(shutil, Kind.FALSE_POSITIVE, "set elsewhere", Muting.COMMENT)
        desk.review.reject(finished.name("lenght"), Kind.LATER)
        desk.review.skip(finished.name("bare-except"))
        with pytest.raises(BusyError), finished.desk():
            pass
    assert finished.decisions() == {wave: "accepted", shutil: "false-positive", finished.name("lenght"): "later"}
    with finished.desk() as desk:
        kept = desk.review.entries
        assert [one.status for one in kept.values()] == ["accepted", "false-positive", "later", "skipped"]
        assert (kept[shutil].reason, kept[shutil].muting) == ("set elsewhere", Muting.COMMENT)
        desk.review.skip(wave)
    assert wave not in finished.decisions()
    assert not list((finished.state / "review" / "runs").iterdir())


def test_a_decision_by_pull_request_comes_back_when_a_review_takes_its_own_back(finished: Finished) -> None:
    wave = finished.name("wave")
    with finished.desk() as desk:
        desk.review.reject(wave, Kind.WRONG_FIX)
    with closing(Ledger(finished.state / "ledger.sqlite")) as ledger:
        (one,) = ledger.decisions()
        ledger.decide(replace(one, kind=Kind.DECLINED, source=Source.PULL_REQUEST))
    with finished.desk() as desk:
        desk.review.accept(wave)
        assert finished.decisions() == {wave: "accepted"}
        desk.review.skip(wave)
    assert finished.decisions() == {wave: "declined"}


def test_to_the_work_tree_then_more_of_the_same_file(finished: Finished) -> None:
    path = finished.folder / "app.py"
    path.chmod(0o755)
    (finished.folder / "new.txt").write_text("not committed")
    with finished.desk() as desk:
        assert "nothing is accepted" in write(desk, "tree")
        desk.review.accept(finished.name("wave"))
        desk.review.reject(finished.name("shutil"), Kind.FALSE_POSITIVE, "by\x1b[31m the\nloader", Muting.COMMENT)
        desk.review.reject(finished.name("lenght"), Kind.FALSE_POSITIVE, "", Muting.BASELINE)
        assert write(desk, "tree") == f"1 fix and 2 mutings written to {finished.folder}"
    muted = APP.replace("    return shutil", "    # fixbot: ignore[undefined-name] by\\x1b[31m the loader\n    return shutil")
    assert path.read_text() == muted.replace("import os\n", "import os\nimport wave\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    known = json.loads((finished.folder / BASELINE).read_bytes())["findings"]
    assert [one["fingerprint"] for one in known] == [finished.name("lenght")]
    found = scan(discover(finished.folder))
    assert [one.rule for one in found.findings] == ["bare-except", "undefined-name"], "the comment mutes, and is not unused"
    with finished.desk() as desk:
        desk.review.accept(finished.name("bare-except"))
        assert write(desk, "tree").startswith("1 fix written")
        assert "nothing is accepted" in write(desk, "tree")
    assert "import wave" in path.read_text()
    assert "except Exception:" in path.read_text()
    assert git(finished.folder, "branch", "--list") == "* main"


def test_a_changed_file_is_left_alone(finished: Finished) -> None:
    (finished.folder / "app.py").write_text(APP + "# mine\n")
    with finished.desk() as desk:
        desk.review.accept(finished.name("wave"))
        with pytest.raises(RepositoryError, match="not as it was"):
            to_tree(desk)
        assert desk.review.entries[finished.name("wave")].status == "accepted"
    assert (finished.folder / "app.py").read_text() == APP + "# mine\n"


def test_a_link_in_the_place_of_a_file_is_not_followed(finished: Finished, tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text(APP)
    (finished.folder / "app.py").unlink()
    (finished.folder / "app.py").symlink_to(outside)
    with finished.desk() as desk:
        desk.review.accept(finished.name("wave"))
        with pytest.raises(RepositoryError, match="not as it was"):
            to_tree(desk)
    assert outside.read_text() == APP


def test_to_a_branch_with_a_commit_a_fix(finished: Finished) -> None:
    (finished.folder / "app.py").write_text(APP + "# mine\n")
    with finished.desk() as desk:
        desk.review.accept(finished.name("bare-except"))
        desk.review.accept(finished.name("wave"))
        desk.review.reject(finished.name("shutil"), Kind.FALSE_POSITIVE, "loaded", Muting.COMMENT)
        desk.review.reject(finished.name("lenght"), Kind.FALSE_POSITIVE, "", Muting.BASELINE)
        text = to_branch(desk)
    branch = f"fixbot/review-{finished.result.run}"
    assert text == f"2 fixes and 2 mutings committed to branch {branch}"
    subjects = git(finished.folder, "log", "--format=%s", f"main..{branch}").splitlines()
    assert subjects == ["chore: mute 2 false positives of undefined-name", "fix: bare-except in app.py", "fix: undefined-name in app.py"]
    assert "Fixbot-Finding: " + finished.name("bare-except") in git(finished.folder, "log", "-1", "--format=%b", f"{branch}~1")
    after = git(finished.folder, "show", f"{branch}:app.py")
    assert "import wave\n" in after
    assert "# fixbot: ignore[undefined-name] loaded\n" in after
    assert finished.name("lenght") in git(finished.folder, "show", f"{branch}:{BASELINE}")
    assert (finished.folder / "app.py").read_text() == APP + "# mine\n"


def test_an_edited_fix_takes_the_place_of_the_runs(finished: Finished) -> None:
    wave, lost = finished.name("wave"), finished.name("lenght")
    with finished.desk() as desk:
        for name, old, new in ((wave, "import os\n", "import os\nimport wave  # sound\n"), (lost, "lenght", "length")):
            made = desk.review.entries[name].outcome
            patch = from_sides(made, {"app.py": (APP.encode(), APP.replace(old, new).encode())}, Origin.PERSON)
            desk.review.revise(name, replace(made, status=Status.FIXED, patch={**patch.to_json(), "diff": ""}, verdict=verdict()))
            assert desk.review.accept(name) == ""
        desk.review.accept(finished.name("shutil"))
        before = {name: one.to_json() for name, one in desk.review.entries.items()}
    with finished.desk() as desk:
        assert {name: one.to_json() for name, one in desk.review.entries.items()} == before, "edited fixes are kept, too"
        assert sides(desk.fixes, desk.review.entries[wave])["app.py"][1] == APP.replace("os\n", "os\nimport wave  # sound\n", 1).encode()
        after = together(desk.fixes, desk.review.pending())["app.py"].decode()
        assert to_branch(desk).startswith("3 fixes")
    for text in ("import wave  # sound\n", "import shutil\n", "return length * width"):
        assert text in after
    tip = f"fixbot/review-{finished.result.run}"
    assert git(finished.folder, "show", f"{tip}:app.py") + "\n" == after
    assert git(finished.folder, "rev-list", "--count", f"main..{tip}") == "3"


def test_fixes_that_do_not_go_together_are_refused(finished: Finished) -> None:
    wave, lost = finished.name("wave"), finished.name("lenght")
    with finished.desk() as desk:
        for name, new in ((wave, "length * 2"), (lost, "length * width")):
            made = desk.review.entries[name].outcome
            patch = from_sides(made, {"app.py": (APP.encode(), APP.replace("lenght * width", new).encode())}, Origin.PERSON)
            desk.review.revise(name, replace(made, status=Status.FIXED, patch={**patch.to_json(), "diff": ""}, verdict=verdict()))
            desk.review.accept(name)
        with pytest.raises(UsageError, match="do not go together"):
            to_tree(desk)
        assert "not applied" in write(desk, "branch")
    assert git(finished.folder, "status", "--porcelain") == ""


def test_a_fix_that_stands_on_another(finished: Finished) -> None:
    """The second was made for the file as the first had left it, on the same line."""
    first, second = finished.name("shutil"), finished.name("lenght")
    made = {one.finding.fingerprint: one for one in finished.result.outcomes}
    middle = APP.replace("import os\n", "import os\nimport shutil\n")
    patches = {
        first: from_sides(made[first], {"app.py": (APP.encode(), middle.encode())}, Origin.CODEMOD),
        second: from_sides(
            made[second], {"app.py": (middle.encode(), middle.replace("import shutil", "import shutil, wave").encode())}, Origin.CODEMOD
        ),
    }
    finished = finished.with_outcomes(
        *(replace(made[name], status=Status.FIXED, patch={**one.to_json(), "diff": ""}, verdict=verdict()) for name, one in patches.items())
    )
    with finished.desk() as desk:
        shown = sides(desk.fixes, desk.review.entries[second])["app.py"]
        assert shown == (middle.encode(), middle.replace("import shutil", "import shutil, wave").encode())
        assert beneath(desk.fixes, desk.review.entries[second]) == {"app.py": middle.encode()}
        assert beneath(desk.fixes, desk.review.entries[first]) == {}
        desk.review.accept(second)
        assert "stands on another one" in write(desk, "tree")
        desk.review.accept(first)
        assert to_branch(desk).startswith("2 fixes")
    tip = f"fixbot/review-{finished.result.run}"
    assert "import shutil, wave\n" in git(finished.folder, "show", f"{tip}:app.py")
    assert "import shutil\n" in git(finished.folder, "show", f"{tip}~1:app.py")


def test_a_proof_test_is_written_with_its_fix(finished: Finished) -> None:
    proof = {"path": "tests/test_app_wave.py", "source": "def test_wave():\n    assert True\n", "kept": True, "reason": ""}
    made = [
        replace(one, verdict={**verdict(), "proof_test": proof}) if one.finding.key == "wave" else one for one in finished.result.outcomes
    ]
    finished = finished.with_outcomes(*made)
    with finished.desk() as desk:
        desk.review.accept(finished.name("wave"))
        (finished.folder / "tests/test_app_wave.py").write_text("mine\n")
        with pytest.raises(RepositoryError, match="there already"):
            to_tree(desk)
        assert (finished.folder / "app.py").read_text() == APP
        (finished.folder / "tests/test_app_wave.py").unlink()
        to_tree(desk)
    assert (finished.folder / "tests/test_app_wave.py").read_text() == proof["source"]


def test_proof_tests_of_one_name_are_both_kept(finished: Finished) -> None:
    made: list[Outcome] = []
    for one in finished.result.outcomes:
        source = f"def test_it():\n    assert {one.finding.key!r}\n"
        proof = {"path": "tests/test_app_it.py", "source": source, "kept": True, "reason": ""}
        made.append(replace(one, verdict={**verdict(), "proof_test": proof}) if one.finding.key in ("wave", "shutil") else one)
    finished = finished.with_outcomes(*made)
    with finished.desk() as desk:
        assert desk.review.accept_rule("undefined-name") == 2
        to_branch(desk)
    tip = f"fixbot/review-{finished.result.run}"
    both = [git(finished.folder, "show", f"{tip}:tests/test_app_it{more}.py") for more in ("", "_2")]
    assert sorted(text.splitlines()[1] for text in both) == ["    assert 'shutil'", "    assert 'wave'"]


def test_a_base_that_is_gone(finished: Finished) -> None:
    gone = replace(finished, result=replace(finished.result, base="0" * 40))
    with pytest.raises(RepositoryError, match="no longer in"), gone.desk(SETTINGS):
        pass


# Muting

HERE = Finding("bare-except", Severity.LOW, "a.py", Span(2, 5, 2, 6), "", fingerprint="f")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x = [\n    1,\n]\n", "x = [\n    # fixbot: ignore[bare-except] why\n    1,\n]\n"),
        ("def f():\r\n\tpass\r\n", "def f():\r\n\t# fixbot: ignore[bare-except] why\r\n\tpass\r\n"),
        ("x = 1 + \\\n    2\n", "x = 1 + \\\n    2  # fixbot: ignore[bare-except] why\n"),
        ("# fixbot: ignore[a, b]\nx = 1", "# fixbot: ignore[a, b]\nx = 1  # fixbot: ignore[bare-except] why"),
        ("if x:\n    y = 1  # z\n", "if x:\n    # fixbot: ignore[bare-except] why\n    y = 1  # z\n"),
    ],
)
def test_where_a_suppression_comment_goes(text: str, after: str) -> None:
    patch = comment(HERE, text.encode(), " why\n")
    assert apply_edits(text.encode(), patch.edits).decode() == after


@pytest.mark.parametrize(
    ("path", "text"), [("a.py", 'x = """\n    a\n"""\n'), ("a.txt", "a\nb\n"), ("a.py", "x = 1\n"), ("a.py", "x = (\ny\n")]
)
def test_no_place_for_a_comment(path: str, text: str) -> None:
    with pytest.raises(UsageError, match="no place"):
        comment(replace(HERE, path=path), text.encode(), "")


def test_baseline_files(tmp_path: Path, fixbot: RunFixbot) -> None:
    (tmp_path / "a.py").write_text("x = wave.open('y')\nz = sound.play('y')\n")
    (one, _) = scan(discover(tmp_path)).findings
    twice = baseline([one], baseline([one], None))
    assert len(json.loads(twice)["findings"]) == 1
    (tmp_path / "b.json").write_bytes(twice)
    report = json.loads(fixbot("check", tmp_path, "--baseline", "b.json", "--output-format", "json").stdout)
    assert [entry["key"] for entry in report["findings"]] == ["sound"]
    for bad in (b"[]", b"{", b'{"findings": [1]}'):
        with pytest.raises(UsageError, match="no JSON report"):
            baseline([one], bad)

"""What narrows a run and what it makes besides a branch: --changed-since, --baseline, --sarif-in, --diff."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import TARGET_PYTHON, MakeRepository, RunFixbot, git, write_tree

from fixbot.agent import workspace as ws
from fixbot.agent.errors import UsageError

JSON = ("--python", TARGET_PYTHON, "--output-format", "json", "--quiet")
OLD = "def old(x):\n    return wave.open(x)\n"
NEW = "def new(x):\n    return shutil.which(x)\n"
TEST = """\
import new, old


def test_both():
    try:
        new.new("sh"), old.old("x")
    except (NameError, OSError):
        pass
"""


@pytest.fixture
def folder(make_repository: MakeRepository) -> Path:
    """Two commits, each with a bug."""
    made = make_repository({"old.py": OLD, "test_all.py": TEST, "sub/a b.py": "x = 1\n"})
    write_tree(made, {"new.py": "name = 1\n" + NEW})
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "-m", "second")
    return made


def found(fixbot: RunFixbot, folder: Path, *more: str | Path, code: int = 0) -> dict[str, str]:
    done = fixbot("run", folder, *JSON, *more)
    assert done.returncode == code, done.stderr
    return {entry["rule"] + " " + entry["path"]: entry["status"] for entry in json.loads(done.stdout)["findings"]}


def test_only_changed_lines(folder: Path, fixbot: RunFixbot) -> None:
    write_tree(folder, {"old.py": "# uncommitted\n" + OLD})  # a run works on HEAD
    assert found(fixbot, folder, "--changed-since", "HEAD~1") == {"undefined-name new.py": "fixed"}
    assert git(folder, "diff", "--name-only", "main", git(folder, "branch", "--list", "fixbot/*")) == "new.py"
    assert found(fixbot, folder, "--changed-since", "HEAD") == {}
    wrong = fixbot("run", folder, "--changed-since", "nowhere")
    assert (wrong.returncode, "names no commit" in wrong.stderr) == (2, True)


def test_changed_between_commits(folder: Path, tmp_path: Path) -> None:
    write_tree(folder, {"sub/a b.py": "x = 1\ny = 2\n", "data.bin": b"\0\n\0\n"})
    git(folder, "add", "--all")
    git(folder, "mv", "old.py", "moved.py")
    git(folder, "commit", "--quiet", "-m", "third")
    head = git(folder, "rev-parse", "HEAD")
    (folder / "sub/a b.py").unlink()  # neither work tree nor index counts
    assert ws.changed_between(folder, "HEAD~1", head) == {"sub/a b.py": [(2, 2)], "moved.py": [(1, 2)], "data.bin": [(1, 2)]}
    assert ws.changed_between(folder, "HEAD", head) == {}
    git(tmp_path, "clone", "--quiet", "--bare", str(folder), str(tmp_path / "bare"))
    assert set(ws.changed_between(tmp_path / "bare", "main~2", head)) == {"sub/a b.py", "moved.py", "data.bin", "new.py"}
    for wrong in ("nowhere", "--output=x", "HEAD:new.py"):
        with pytest.raises(UsageError, match="names no commit"):
            ws.changed_between(folder, wrong, head)


def test_what_the_baseline_knows_is_left_alone(folder: Path, fixbot: RunFixbot, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    fixbot("check", folder, "--select", "undefined-name", "--output-format", "json", "--output-file", known)
    report = json.loads(known.read_text())
    report["findings"] = [entry for entry in report["findings"] if entry["path"] == "old.py"]
    known.write_text(json.dumps(report))
    assert found(fixbot, folder, "--baseline", known) == {"undefined-name new.py": "fixed"}
    assert "old.py" not in git(folder, "diff", "--name-only", "main", git(folder, "branch", "--list", "fixbot/*"))
    wrong = fixbot("run", folder, "--baseline", folder / "old.py")
    assert (wrong.returncode, "no JSON report" in wrong.stderr) == (2, True)


def test_results_of_other_tools_join(folder: Path, fixbot: RunFixbot, tmp_path: Path) -> None:
    def result(rule: str, path: str, line: int) -> object:
        place = {"artifactLocation": {"uri": path}, "region": {"startLine": line}}
        return {"ruleId": rule, "message": {"text": "odd"}, "locations": [{"physicalLocation": place}]}

    other = tmp_path / "other.sarif"
    results = [result("B1", "new.py", 3), result("B1", "old.py", 1), result("B2", "../out.py", 1)]
    other.write_text(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Other"}}, "results": results}]}))
    everything = found(fixbot, folder, "--sarif-in", other, code=1)
    assert everything.pop("undefined-name old.py") == everything.pop("undefined-name new.py") == "fixed"
    assert everything == {"other/B1 new.py": "needs-model", "other/B1 old.py": "needs-model"}
    assert set(found(fixbot, folder, "--sarif-in", other, "--changed-since", "HEAD~1", code=1)) == {
        "other/B1 new.py",
        "undefined-name new.py",
    }
    check = fixbot("check", folder, "--sarif-in", other, "--changed-since", "HEAD~1", "--output-format", "json")
    assert {entry["path"] for entry in json.loads(check.stdout)["findings"]} == {"new.py"}


def test_the_environment_mirrors_the_options(folder: Path, fixbot: RunFixbot) -> None:
    done = fixbot("check", folder, "--output-format", "json", env={"FIXBOT_CHANGED_SINCE": "HEAD~1"})
    assert [entry["path"] for entry in json.loads(done.stdout)["findings"]] == ["new.py"]
    assert fixbot("check", folder, env={"FIXBOT_BASELINE": "/nowhere"}).returncode == 2


def test_diff_instead_of_a_branch(folder: Path, fixbot: RunFixbot, tmp_path: Path) -> None:
    latin = b"# -*- coding: latin-1 -*-\ndef f(x):\n    try:\n        return x['\xe9']\n    except:  # \xe8\n        return None\n"
    write_tree(folder, {"sub/la tin.py": latin, "test_all.py": "def test_nothing():\n    pass\n"})
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "third")
    before = git(folder, "for-each-ref")
    patch = tmp_path / "fixes.diff"
    done = fixbot("run", folder, *JSON[:2], "--diff", "--quiet", "--output-file", patch)
    assert (done.returncode, done.stdout, git(folder, "for-each-ref")) == (0, "", before), done.stderr
    git(folder, "apply", str(patch))
    assert (folder / "sub/la tin.py").read_bytes() == latin.replace(b"except:", b"except (KeyError, TypeError):")
    assert git(folder, "diff", "--name-only").splitlines() == ["new.py", "old.py", "sub/la tin.py"]
    report = json.loads(fixbot("run", folder, *JSON, "--diff").stdout)
    assert report["branch"] is None
    assert report["diff"].encode("utf-8", "surrogateescape") == patch.read_bytes()
    assert git(folder, "for-each-ref") == before


def test_diff_is_empty_when_nothing_is_proven(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository({"old.py": OLD, "new.py": "x = 1\n"})
    done = fixbot("run", folder, *JSON[:2], "--diff", "--quiet")
    assert (done.returncode, done.stdout) == (1, "")
    applied = subprocess.run(["git", "apply", "--allow-empty"], input=done.stdout, cwd=folder, text=True, check=False)
    assert applied.returncode == 0

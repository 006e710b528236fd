"""What is no healthy repository: a clear error or a named skip, nothing lost, no traceback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import AUTHOR, FIXBOT, ONE_BASELINE, TARGET_PYTHON, MakeRepository, RunFixbot, git, write_tree

PYTHON = ("--python", str(TARGET_PYTHON))
BUG = "x = 1\n\n\ndef f():\n    return wave.open(x)\n"
TEST = "from app import f\n\n\ndef test_f():\n    try:\n        f()\n    except (NameError, AttributeError, TypeError):\n        pass\n"
FILES: dict[str, str | bytes] = {"app.py": BUG, "test_app.py": TEST}


def test_not_a_repository(fixbot: RunFixbot, tmp_path: Path) -> None:
    write_tree(tmp_path / "plain", FILES)
    done = fixbot("run", tmp_path / "plain", *PYTHON)
    assert done.returncode == 2
    assert "not in a git repository" in done.stderr
    assert "git init" in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(fixbot("check", tmp_path / "plain", "--output-format", "json").stdout)
    assert [entry["path"] for entry in found["findings"]] == ["app.py"]


def test_no_commit(fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = tmp_path / "unborn"
    write_tree(folder, FILES)
    git(folder, "init", "--quiet")
    done = fixbot("run", folder, *PYTHON)
    assert (done.returncode, "no commit to work from" in done.stderr) == (2, True)


def test_missing_path(fixbot: RunFixbot, tmp_path: Path) -> None:
    for command in ("check", "run"):
        done = fixbot(command, tmp_path / "nowhere")
        assert (done.returncode, "there is no" in done.stderr) == (2, True)


@pytest.mark.parametrize("files", [{}, {"README.md": "nothing\n"}, {"empty.py": ""}], ids=["empty", "no python", "empty file"])
def test_nothing_to_do(make_repository: MakeRepository, fixbot: RunFixbot, files: dict[str, str | bytes]) -> None:
    done = fixbot("run", make_repository(files), *PYTHON)
    assert done.returncode == 0, done.stderr
    assert "Nothing to fix" in done.stdout


def test_unreadable_files_are_named_and_the_rest_is_fixed(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    bad: dict[str, str | bytes] = {
        "broken.py": "def f(:\n",
        "latin.py": b"x = '\xff'\n",
        "nul.py": b"x = 1\0\n",
        "huge.py": b"# " + b"x" * 5_000_000,
        "py2.py": "print 'x'\n",
        "template.py": "{{ name }} = {% x %}\n",
    }
    folder = make_repository({**FILES, **bad})
    (folder / "loop").symlink_to(".")
    git(folder, "add", "loop")
    git(folder, "commit", "--quiet", "-m", "loop")
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet")
    report = json.loads(done.stdout)
    assert {entry["path"] for entry in report["files_skipped"]} == set(bad)
    assert [entry["status"] for entry in report["findings"]] == ["fixed"]


@pytest.mark.parametrize("kind", ["shallow", "bare", "worktree", "submodule", "space ü"])
def test_kinds_of_repositories(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path, kind: str) -> None:
    origin = make_repository(FILES)
    folder = tmp_path / kind
    match kind:
        case "shallow":
            git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{origin}", str(folder))
        case "bare":
            git(tmp_path, "clone", "--quiet", "--bare", str(origin), str(folder))
        case "worktree":
            git(origin, "worktree", "add", "--quiet", str(folder))
        case "submodule":
            folder.mkdir()
            write_tree(folder, FILES)
            git(folder, "init", "--quiet")
            git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(origin), "inner")
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "-m", "first")
        case _:
            git(tmp_path, "clone", "--quiet", str(origin), str(folder))
    done = fixbot("run", folder, *PYTHON, "--output-format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [(entry["path"], entry["status"]) for entry in report["findings"]] == [("app.py", "fixed")]
    assert git(folder, "rev-parse", report["branch"]) == report["tip"]


def test_read_only_tree(make_repository: MakeRepository, tmp_path: Path) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("a read-only view of a folder is made with bubblewrap")
    folder = make_repository(FILES)
    view = ["bwrap", "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", str(folder), str(folder)]
    environment = os.environ | ONE_BASELINE | {"FIXBOT_STATE_DIR": str(tmp_path / "state")}
    check = subprocess.run([*view, FIXBOT, "check", folder], capture_output=True, text=True, check=False, env=environment)
    assert (check.returncode, "undefined-name" in check.stdout) == (1, True)
    run = subprocess.run([*view, FIXBOT, "run", folder, *PYTHON], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_disk_full(make_repository: MakeRepository, tmp_path: Path) -> None:
    """The state folder is a file system of 1 MiB that fills up in the middle of the run."""
    folder = make_repository({**FILES, "data.bin": os.urandom(3_000_000)})
    before = git(folder, "status", "--porcelain")
    state = tmp_path / "state"
    state.mkdir()
    script = f'mount -t tmpfs -o size=1m,mode=700 tmpfs "{state}" && "{FIXBOT}" run "{folder}" --python "{TARGET_PYTHON}"'
    environment = os.environ | AUTHOR | {"FIXBOT_STATE_DIR": str(state)}
    done = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, check=False, env=environment)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this kernel lets no ordinary user mount a file system")
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    assert git(folder, "status", "--porcelain") == before
    assert git(folder, "branch", "--list", "fixbot/*") == ""


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('sandbox = "none"', "may not set"),
        ('python = "/tmp/evil"', "may not set"),
        ('base-url = "http://evil.example"', "may not set"),
        ("trust-owner = true", "may not set"),
        ("timeout = -1", "timeout"),
        ('select = ["no-such-rule"]', "no rule or group"),
    ],
)
def test_repository_settings_cannot_steer(make_repository: MakeRepository, fixbot: RunFixbot, table: str, words: str) -> None:
    folder = make_repository({**FILES, "pyproject.toml": f"[tool.fixbot]\n{table}\n"})
    for command in ("check", "run"):
        done = fixbot(command, folder)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_repository_settings_that_are_allowed(make_repository: MakeRepository, fixbot: RunFixbot) -> None:
    folder = make_repository(
        {**FILES, "pyproject.toml": '[tool.fixbot]\nignore = ["undefined-name"]\nexclude = ["gen/*"]\n', "gen/a.py": BUG}
    )
    assert fixbot("check", folder).returncode == 0
    assert fixbot("check", folder, "--isolated").returncode == 1


def test_settings_above_the_repository_do_not_count(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({**FILES, "inner/b.py": BUG})
    (tmp_path / "pyproject.toml").write_text('[tool.fixbot]\nignore = ["all"]\n')
    assert fixbot("check", folder / "inner").returncode == 1
    (folder / "pyproject.toml").write_text('[tool.fixbot]\nignore = ["all"]\n')
    assert fixbot("check", folder / "inner").returncode == 0


def test_unknown_rule_is_explained(fixbot: RunFixbot) -> None:
    done = fixbot("explain", "undefined-nam")
    assert (done.returncode, "did you mean `undefined-name`?" in done.stderr) == (2, True)
    done = fixbot("check", ".", "--select", "undefind-name")
    assert (done.returncode, "did you mean" in done.stderr) == (2, True)
    done = fixbot("check", ".", "--no-such-flag")
    assert (done.returncode, "no-such-flag" in done.stderr) == (2, True)

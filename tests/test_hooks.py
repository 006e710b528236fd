"""The hooks of ``.pre-commit-hooks.yaml`` in a real repository: prek runs them when git commits and pushes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import AUTHOR, FIXBOT, TARGET_PYTHON, MakeRepository, RunFixbot, git, write_tree

MANIFEST = Path(__file__).parents[1] / ".pre-commit-hooks.yaml"
HOOKS: dict[str, dict[str, Any]] = {hook["id"]: hook for hook in yaml.safe_load(MANIFEST.read_text("utf-8"))}
PREK = Path(sys.executable).with_name("prek")
SOUND = """\
import os


def duration(path):
    if not os.path.exists(path):
        return 0.0
    with {} as sound:
        return sound.getnframes()
"""
BAD, GOOD = SOUND.format("wave.open(path)"), SOUND.format("open(path)")
FILES: dict[str, str | bytes] = {
    "sound.py": GOOD,
    "old.py": "def load(path):\n    return wave.open(path)\n",
    "tests/test_sound.py": "import sound\n\n\ndef test_missing_file():\n    assert sound.duration('/nowhere') == 0.0\n",
    "conftest.py": "",
}

Git = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(make_repository: MakeRepository) -> Path:
    """A repository whose hooks are those of the manifest, started as the programs that are installed here."""
    local = [{key: hook[key] for key in hook if key != "minimum_pre_commit_version"} for hook in HOOKS.values()]
    local = [hook | {"language": "system", "entry": hook["entry"].replace("fixbot", str(FIXBOT), 1)} for hook in local]
    local[1]["args"] = ["--python", str(TARGET_PYTHON), "--changed-since", "origin/main"]
    config = {"default_install_hook_types": ["pre-commit", "pre-push"], "repos": [{"repo": "local", "hooks": local}]}
    return make_repository(FILES | {".pre-commit-config.yaml": json.dumps(config)})


@pytest.fixture
def run_git(project: Path, tmp_path: Path) -> Git:
    """Git with a remote, and the hooks installed."""
    places = {"PREK_HOME": str(tmp_path / "prek"), "FIXBOT_STATE_DIR": str(tmp_path / "state"), "FIXBOT_BASELINE_RUNS": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FIXBOT_")} | AUTHOR | places

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["git", *arguments]
        return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120)

    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(project, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(project, "push", "--quiet", "origin", "main")
    subprocess.run([PREK, "install", "--quiet"], cwd=project, env=environment, check=True)
    return run


def test_manifest_is_valid() -> None:
    subprocess.run([PREK, "validate-manifest", MANIFEST], check=True, capture_output=True)
    assert list(HOOKS) == ["fixbot-check", "fixbot-fix"]
    assert {hook["language"] for hook in HOOKS.values()} == {"python"}


def test_a_commit_with_a_bug_is_refused_and_others_are_not(project: Path, run_git: Git) -> None:
    write_tree(project, {"sound.py": BAD})
    git(project, "add", "sound.py")
    write_tree(project, {"sound.py": GOOD})  # what is staged counts
    refused = run_git("commit", "--message=Sound")
    assert refused.returncode == 1
    shown = refused.stdout + refused.stderr
    assert "sound.py:7:10 critical undefined-name" in shown
    assert "old.py" not in shown
    assert (project / "sound.py").read_text() == GOOD
    git(project, "add", "sound.py")
    write_tree(project, {"notes.md": "wave.open\n", "sound.py": GOOD + "\n\nSIZE = 1\n"})
    git(project, "add", "--all")
    good = run_git("commit", "--message=Notes")
    assert good.returncode == 0, good.stdout + good.stderr


def test_a_push_is_held_up_by_proven_fixes_and_goes_through_with_them(project: Path, run_git: Git) -> None:
    write_tree(project, {"sound.py": BAD})
    assert run_git("commit", "--all", "--no-verify", "--message=Sound").returncode == 0
    refused = run_git("push", "origin", "main")
    shown = refused.stdout + refused.stderr
    assert (refused.returncode, "applied 1 fix to 1 file" in shown, "files were modified" in shown) == (1, True, True), shown
    assert "tests without fixes: 1 passed" in shown
    assert (project / "sound.py").read_text() == "import wave\n".join(("import os\n", BAD.removeprefix("import os\n")))
    assert git(project, "status", "--porcelain") == "M sound.py"
    assert git(project, "branch", "--list", "fixbot/*") == ""
    assert run_git("commit", "--all", "--message=Fix").returncode == 0
    pushed = run_git("push", "origin", "main")
    assert pushed.returncode == 0, pushed.stdout + pushed.stderr
    assert git(project, "rev-parse", "origin/main") == git(project, "rev-parse", "HEAD")


def test_apply_wants_a_clean_tree(project: Path, fixbot: RunFixbot) -> None:
    write_tree(project, {"sound.py": BAD})
    dirty = fixbot("run", project, "--apply")
    assert (dirty.returncode, "uncommitted changes" in dirty.stderr) == (2, True)
    assert (project / "sound.py").read_text() == BAD

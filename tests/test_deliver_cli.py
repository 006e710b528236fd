"""``fixbot run --pr`` and ``fixbot deliver`` as people type them, against a forge on loopback, the tests in the real sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import RunFixbot, git
from deliveries import check_out
from forge_github import GitHub as Hub
from forge_github import github_rig
from forge_rig import Rig

FILES = {
    "sound.py": "def length(path):\n    with wave.open(path) as sound:\n        return sound.getnframes()\n",
    "tests/test_sound.py": "import os\n\nimport pytest\n\nimport sound\n\n\ndef test_length():\n"
    "    assert not [name for name in os.environ if 'TOKEN' in name or 'KEY' in name]\n"
    "    with pytest.raises((NameError, FileNotFoundError)):\n        sound.length('none')\n",
}

KEY = "canary-5Jd0sWqPz7"


def address(rig: Rig[Hub]) -> Mapping[str, str]:
    """What a CI job has in its environment."""
    return {
        "GITHUB_API_URL": rig.api,
        "GITHUB_SERVER_URL": rig.server,
        "GITHUB_REPOSITORY": rig.name,
        "GITHUB_TOKEN": rig.token,
    }


def test_run_opens_pull_requests_and_leaves_the_checkout_alone(fixbot: RunFixbot, tmp_path: Path) -> None:
    with github_rig(tmp_path / "forge", FILES) as rig:
        checkout = check_out(rig.bare.path, tmp_path / "checkout")
        secret = {**address(rig), "FIXBOT_API_KEY": KEY}
        done = fixbot("--verbose", "run", checkout, "--pr", "--label", "bugs", "--output-format", "json", env=secret)
        assert done.returncode == 0, done.stderr
        printed = [done.stdout, done.stderr]
        report = json.loads(done.stdout)
        (pull,) = report["delivery"]["pulls"]
        assert (pull["action"], pull["group"], pull["number"]) == ("open", "undefined-name", 1)
        assert rig.bare.git("show", "fixbot/undefined-name:sound.py").startswith("import wave\n")
        assert [one["name"] for one in rig.forge.pulls[1]["labels"]] == ["bugs"]
        assert git(checkout, "branch", "--list", "fixbot/*") == ""
        assert git(checkout, "status", "--porcelain") == ""

        done = fixbot("doctor", checkout, env=secret)
        printed += [done.stdout, done.stderr]
        assert f"ok      forge: {rig.server}/{rig.name}, pull requests for main" in done.stdout
        done = fixbot("doctor", checkout, env={**address(rig), "GITHUB_TOKEN": "wrong"})
        assert "missing forge: " in done.stdout
        assert done.returncode == 1

        done = fixbot("deliver", "last", "--path", checkout, env=address(rig))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("unchanged undefined-name (1 fix) #1 ")
        assert len(rig.forge.pulls) == 1
        printed += [done.stdout, done.stderr]
        for flags in (["--html"], ["--markdown"], ["--output-format", "sarif"], ["--output-format", "github"], []):
            printed.append(fixbot("report", "last", *flags, env=secret).stdout)
        forge = json.dumps([rig.forge.pulls, rig.forge.issues, rig.forge.comments], default=str)
        kept = [path.read_bytes().decode("latin-1") for path in _files(tmp_path / "state")]
        assert all(printed[-5:])
        assert not [text for text in (*printed, forge, *kept) if rig.token in text or KEY in text]
        assert KEY not in str([request.headers for request, _ in rig.asked])


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size < 10_000_000]


@pytest.mark.parametrize(
    ("flags", "env", "told"),
    [
        (["--repository", "o/r"], {}, "there is no token for https://github.com"),
        ([], {"FIXBOT_FORGE_TOKEN": "t"}, "which repository on https://github.com is meant?"),
        (["--repository", "o/r", "--forge-url", "https://forge.example/api/v3"], {"GITHUB_TOKEN": "t"}, "there is no token"),
        (["--repository", "o/r", "--forge", "gitlab"], {"GITHUB_TOKEN": "t"}, "there is no token for https://gitlab.com"),
        (["--repository", "--x", "--forge-url", "http://127.0.0.1:9"], {"FIXBOT_FORGE_TOKEN": "t"}, "is not the name of a repository"),
        (["--max-open", "-1"], {"FIXBOT_FORGE_TOKEN": "t"}, "max-open"),
    ],
)
def test_what_is_missing_is_named_before_any_work(
    flags: list[str], env: Mapping[str, str], told: str, fixbot: RunFixbot, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    done = fixbot("run", folder, "--pr", *flags, env={"GITHUB_REPOSITORY": "", "GITHUB_API_URL": "", **env})
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_repository_does_not_choose_where_its_fixes_go(fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "pyproject.toml").write_text('[tool.fixbot]\nforge-url = "https://evil.example"\n')
    done = fixbot("run", folder, "--pr", env={"FIXBOT_FORGE_TOKEN": "t"})
    assert done.returncode == 2
    assert "sets `forge-url`, which a repository may not set" in done.stderr
    (folder / "pyproject.toml").unlink()
    git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    git(folder, "remote", "add", "origin", "https://evil.example/o/r.git")
    done = fixbot("run", folder, "--pr", env={"FIXBOT_FORGE_TOKEN": "t", "GITHUB_REPOSITORY": "", "GITHUB_API_URL": ""})
    assert "which repository on https://github.com is meant?" in done.stderr

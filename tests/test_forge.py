"""The GitHub client against a fake of GitHub joined with a real git repository: pull requests, people, dashboard, faults, limits."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from forge_github import GitHub as Hub
from forge_github import github_rig
from forge_github_state import BOT
from forge_rig import Rig

from fixbot.agent.deliver.forge import Forge, People, State
from fixbot.agent.deliver.github import GitHub, open_github
from fixbot.agent.deliver.http import Manners

QUICK = Manners(gap=0, backoff=(0, 0))
MARK = "<!-- fixbot:test -->"


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[Hub]]:
    with github_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        yield rig


def client(rig: Rig[Hub], **more: str) -> GitHub:
    return open_github(rig.name, rig.token, "fixbot/0", api=rig.api, server=rig.server, manners=QUICK, **more)


def test_a_pull_requests_life(rig: Rig[Hub]) -> None:
    forge: Forge = client(rig)
    project = forge.project()
    assert (project.default_branch, project.issues, project.archived) == ("main", True, False)
    assert forge.remote().url == rig.clone_url
    rig.bare.commit("fixbot/one", {"a.py": "x = 2\n"})
    pull = forge.open_pull("fixbot/one", "main", "fix: one", "because", draft=True)
    assert (pull.number, pull.branch, pull.state, pull.draft, pull.head) == (
        1,
        "fixbot/one",
        State.OPEN,
        True,
        rig.bare.heads()["fixbot/one"],
    )
    assert forge.open_pull("fixbot/one", "main", "fix: one", "because", draft=True).number == 1
    forge.edit_pull(1, title="fix: two", body="more")
    forge.comment(1, "once", MARK)
    forge.comment(1, "once", MARK)
    said = forge.comments(1)
    assert [(one.author, one.ours, one.body) for one in said] == [(BOT, True, f"{MARK}\nonce")]
    assert list(forge.invite(1, People(("fixbot", "bug"), ("ann", "octo/core"), ("bob",)))) == []
    rig.forge.merge(1, "squash")
    (merged,) = forge.pulls("fixbot/")
    assert (merged.state, merged.merged_as, merged.title, merged.labels) == (
        State.MERGED,
        rig.bare.heads()["main"],
        "fix: two",
        ("fixbot", "bug"),
    )
    issue = forge.dashboard(MARK)
    assert issue is None
    made = forge.save_dashboard(None, "Dashboard", "text", MARK)
    assert forge.dashboard(MARK) == made
    assert forge.save_dashboard(made, "Dashboard", "text", MARK) == made
    assert forge.upload_sarif({"version": "2.1.0", "runs": []}, "a" * 40, "refs/heads/main").startswith(rig.api)

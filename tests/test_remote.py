"""Branches pushed over HTTP to a real git server: leases, lost answers, refusals, and no trace of the token."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from forge_github import GitHub, github_rig
from forge_rig import Rig

from fixbot.agent import workspace as ws
from fixbot.agent.deliver import remote
from fixbot.agent.deliver.forge import Remote
from fixbot.agent.deliver.tokens import basic, token
from fixbot.agent.workspace import Workspace

ONCE = (0.0,)
B = "fixbot/one"


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig[GitHub]]:
    with github_rig(tmp_path, {"a.py": "x = 1\n"}) as rig:
        yield rig


@pytest.fixture
def space(rig: Rig[GitHub], tmp_path: Path) -> Workspace:
    subprocess.run(["git", "clone", "-q", str(rig.bare.path), str(tmp_path / "user")], check=True)
    return ws.open_workspace(tmp_path / "user", tmp_path / "state", "r1")


def there(rig: Rig[GitHub]) -> Remote:
    return Remote(rig.clone_url, basic("x-access-token", token(rig.token)))


def fix(space: Workspace, text: str = "x = 2\n", parent: str = "", base: str = "", **more: int) -> str:
    message = f"fix: x\n\nbecause\n\nFixbot-Run: r1\nFixbot-Base: {base or space.base}\n"
    return ws.commit(space, B, {"a.py": text.encode()}, message, parent or space.base, **more)


def test_push_fetch_list_delete(rig: Rig[GitHub], space: Workspace) -> None:
    to, first = there(rig), fix(space)
    remote.push(space, to, B, first, None)
    assert rig.bare.heads()[B] == first
    assert remote.heads(space, to, "fixbot/") == {B: first}
    remote.push(space, to, B, first, None)
    second = fix(space, "x = 3\n", first)
    remote.push(space, to, B, second, first)
    assert remote.is_ours(space, second)
    theirs = rig.bare.commit(B, {"b.py": "1\n"})
    assert remote.fetch(space, to, B) == theirs
    assert not remote.is_ours(space, theirs)
    with pytest.raises(remote.Moved):
        remote.push(space, to, B, fix(space, "x = 4\n"), second)
    with pytest.raises(remote.Moved):
        remote.delete(space, to, B, second)
    assert rig.bare.heads()[B] == theirs
    remote.delete(space, to, B, theirs)
    assert set(rig.bare.heads()) == {"main"}
    remote.delete(space, to, B, theirs)

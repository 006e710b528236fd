"""Many scheduled deliveries in a row on a repository whose base moves, with people at work on the forge and faults in every round.

    python tests/scheduled_runs.py --rounds 100 --seed 1

prints what happened and ends with 1 at the first broken promise. The suite runs a few rounds of it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deliveries import FILES, Case, check_out
from forge_github import GitHub as Hub
from forge_github import github_rig
from forge_repository import ANN, Conflict
from forge_rig import Reply, Request, Rig

from fixbot.agent.config import Settings
from fixbot.agent.deliver.deliver import Delivery
from fixbot.agent.deliver.mark import Mark, read_note
from fixbot.agent.errors import FixbotError
from fixbot.agent.result import RunResult

PREFIX, MAX_OPEN, MAX_NEW = "fixbot/", 4, 2
BUGS = (
    "def copy_{0}(path):\n    return shutil.copy(path, '.')\n",
    "import requests\n\n\ndef post_{0}(url):\n    return requests.post(url)\n",
    "from collections import Mapping\n\nKIND_{0} = Mapping\n",
    "import smtplib\n\n\ndef mail_{0}(host):\n    return smtplib.SMTP(host)\n",
    "import json\n\n\ndef read_{0}(text):\n    return json.loads(text), os.getcwd()\n",
)


@dataclass
class World:
    """The forge, what people did there that must not be lost, and what happened."""

    case: Case
    rig: Rig[Hub]
    random: random.Random
    theirs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    happened: Counter[str] = field(default_factory=Counter[str])
    bugs: list[str] = field(default_factory=list[str])

    def open(self) -> list[dict[str, Any]]:
        """Open pull requests of fixbot's branches."""
        return [one for one in self.rig.forge.pulls.values() if one["state"] == "open" and one["head"]["ref"].startswith(PREFIX)]


# What people do


def move_base(world: World) -> None:
    world.rig.bare.commit("main", {f"notes/{world.random.randrange(10**6)}.txt": "more\n"})


def add_bug(world: World) -> None:
    number = world.random.randrange(10**6)
    path = f"{world.random.choice('abcd')}{number}.py"
    world.bugs.append(path)
    world.rig.bare.commit("main", {path: world.random.choice(BUGS).format(number)})


def fix_bug(world: World) -> None:
    if world.bugs:
        world.rig.bare.commit("main", {world.bugs.pop(world.random.randrange(len(world.bugs))): "print()\n"})


def touch_bug(world: World) -> None:
    world.rig.bare.commit("main", {"fetch.py": f"# {world.random.randrange(10**6)}\n{FILES['fetch.py']}"})


def push_to_branch(world: World) -> None:
    if opened := world.open():
        branch = world.random.choice(opened)["head"]["ref"]
        if branch in world.rig.bare.heads():
            mine = world.rig.bare.commit(branch, {f"mine{world.random.randrange(10**6)}.txt": "by hand\n"}, author=ANN)
            world.theirs.append((branch, mine))
            world.happened["commits by people on fixbot's branches"] += 1


def close(world: World) -> None:
    if opened := world.open():
        world.rig.forge.close(world.random.choice(opened)["number"])


def merge(world: World) -> None:
    if opened := world.open():
        chosen = world.random.choice(opened)
        try:
            world.rig.forge.merge(chosen["number"], world.random.choice(("merge", "squash", "rebase")))
        except (Conflict, KeyError):
            return
        world.theirs = [(branch, commit) for branch, commit in world.theirs if branch != chosen["head"]["ref"]]


def ask_again(world: World) -> None:
    closed = [one["number"] for one in world.rig.forge.pulls.values() if one["state"] == "closed" and not one.get("merged_at")]
    if closed:
        world.rig.forge.say(world.random.choice(closed), world.random.choice(("ann", "mallory")), "/fixbot reopen")


def write_over_text(world: World) -> None:
    if opened := world.open():
        world.random.choice(opened)["body"] = world.random.choice(("", "Rewritten.", "<!-- fixbot:pull AAAA -->", None)) or ""


PEOPLE: tuple[Callable[[World], None], ...] = (
    *(move_base, add_bug, add_bug, add_bug, add_bug, add_bug, add_bug, fix_bug, touch_bug),
    *(push_to_branch, push_to_branch, close, merge, ask_again, ask_again, write_over_text),
)


# What goes wrong

WRITES = (r"POST .*/pulls$", r"PATCH .*/pulls/", r"POST .*/issues", r"PATCH .*/issues", r"POST .*/comments$", r"POST .*git-receive-pack")
READS = (r"GET .*/pulls", r"GET .*/issues", r"git-upload-pack", r"GET .*info/refs")


def fault(world: World) -> None:
    """Put a fault in the way of some request."""
    kind = world.random.choice(("502 after", "502", "cut before", "cut after", "cut middle", "limit", "422", "read 502", "read cut"))
    world.happened[f"fault: {kind}"] += 1
    match = world.random.choice(READS if kind.startswith("read") else WRITES)
    skip = world.random.randrange(3)
    match kind:
        case "502 after":
            world.rig.fail(match, status=502, acts=True, skip=skip)
        case "502" | "read 502":
            world.rig.fail(match, status=502, skip=skip, times=world.random.choice((1, 2, 9)))
        case "limit":
            body = {"message": "You have exceeded a secondary rate limit."}
            world.rig.fail(r"(POST|PATCH) .*/(pulls|issues)", status=403, headers={"Retry-After": "1"}, body=body, skip=skip)
        case "422":
            body = {"message": "Validation Failed", "errors": [{"code": "custom", "message": "injected"}]}
            world.rig.fail(r"POST .*/(pulls|issues)$", status=422, body=body)
        case _:
            world.rig.fail(match, cut=kind.split()[1] if kind != "read cut" else "before", skip=skip)


# Deliveries


def killed(world: World, result: RunResult) -> None:
    """A delivery in a process of its own that is killed at some request to the forge."""
    at, seen, answer = world.random.randrange(1, 24), [0], world.rig.answer
    child = multiprocessing.get_context("forkserver").Process(target=_in_child, args=(_Plain.of(world), result.to_json()))

    def counting(request: Request) -> Reply:
        seen[0] += 1
        early = world.random.random() < 0.5
        if seen[0] == at and early and child.pid:
            os.kill(child.pid, signal.SIGKILL)
        reply = answer(request)
        if seen[0] == at and not early and child.pid:
            os.kill(child.pid, signal.SIGKILL)
        return reply

    world.rig.answer = counting
    try:
        child.start()
        child.join(120)
        assert child.exitcode is not None, "a delivery hangs"
        world.happened["killed" if child.exitcode == -signal.SIGKILL else "not killed"] += 1
    finally:
        child.kill()
        world.rig.answer = answer


@dataclass(frozen=True)
class _Plain:
    """What a child needs of the world."""

    api: str
    server: str
    name: str
    token: str
    checkout: Path
    state: Path

    @classmethod
    def of(cls, world: World) -> _Plain:
        rig = world.rig
        return cls(rig.api, rig.server, rig.name, rig.token, world.case.checkout, world.case.state)


def _in_child(plain: _Plain, data: dict[str, Any]) -> None:
    from deliveries import QUICK

    from fixbot.agent.deliver.deliver import deliver
    from fixbot.agent.deliver.github import open_github
    from fixbot.agent.result import result_from_json

    forge = open_github(plain.name, plain.token, "fixbot/0", api=plain.api, server=plain.server, manners=QUICK)
    try:
        deliver(result_from_json(data), settings(), forge, plain.checkout, plain.state, lambda event: None, waits=(0, 0))
    except FixbotError:
        sys.exit(2)


def settings() -> Settings:
    """Those of every delivery."""
    return Settings.model_validate({"max_open": MAX_OPEN, "max_new_per_run": MAX_NEW, "group": "finding"})


def one_round(world: World, number: int) -> None:
    """People, faults, a delivery, then every promise looked at."""
    for _ in range(world.random.randrange(4)):
        act = world.random.choice(PEOPLE)
        world.happened[f"people: {act.__name__}"] += 1
        act(world)
    before = set(world.rig.forge.pulls)
    opened_before = len(world.open())
    world.rig.faults.clear()
    for _ in range(world.random.choice((0, 1, 1, 2))):
        fault(world)
    result = world.case.run()
    if world.random.random() < 0.25:
        killed(world, result)
    else:
        try:
            world.case.deliver(result)
            world.happened["delivered"] += 1
        except FixbotError:
            world.happened["stopped"] += 1
    check(world, before, opened_before, f"round {number}")


def check(world: World, before: set[int], opened_before: int, when: str) -> None:
    """The promises. Raises AssertionError."""
    pulls = world.rig.forge.pulls
    opened = world.open()
    marks = [(one["number"], read_note(Mark, one["body"])) for one in opened]
    offered = Counter(fix.finding for _, mark in marks if mark for fix in mark.fixes)
    twins = [finding for finding, count in offered.items() if count > 1]
    assert not twins, f"{when}: {twins} in two pull requests"
    heads = Counter(one["head"]["ref"] for one in opened)
    assert max(heads.values(), default=0) < 2, f"{when}: two pull requests of a branch: {heads}"
    assert len(set(pulls) - before) <= MAX_NEW, f"{when}: {len(set(pulls) - before)} new pull requests"
    assert len(opened) <= max(MAX_OPEN, opened_before), f"{when}: {len(opened)} open"
    for branch, commit in world.theirs:
        assert world.rig.bare.contains(branch, commit), f"{when}: {commit} was lost from {branch}"
    boards = [one for one in world.rig.forge.issues.values() if one["state"] == "open"]
    assert len(boards) <= 1, f"{when}: {len(boards)} dashboards"
    for number, comments in world.rig.forge.comments.items():
        said = Counter(one["body"].splitlines()[0] for one in comments if one["body"].startswith("<!-- fixbot:"))
        assert max(said.values(), default=0) < 2, f"{when}: said twice in #{number}: {said}"


def settled(world: World) -> Delivery:
    """A last delivery without faults: it must work, and a second one have nothing to do."""
    world.rig.faults.clear()
    world.case.deliver()
    last = world.case.deliver()
    changing = [step for step in last.steps if step.action.value in ("update", "close")]
    assert not changing, f"not settled: {changing}"
    everything = json.dumps([world.rig.forge.pulls, world.rig.forge.issues, world.rig.forge.comments], default=str)
    assert world.rig.token not in everything, "the token is on the forge"
    kept = [path for path in world.case.state.rglob("*") if path.is_file() and world.rig.token.encode() in path.read_bytes()]
    assert not kept, f"the token is in {kept}"
    return last


def play(folder: Path, rounds: int, seed: int, tell: Callable[[str], None] = lambda text: None) -> World:
    """So many rounds from a seed. Raises AssertionError for a broken promise."""
    with github_rig(folder / "forge", FILES) as rig:
        case = Case(rig, check_out(rig.bare.path, folder / "checkout"), folder / "state", settings())
        world = World(case, rig, random.Random(seed))
        for number in range(rounds):
            one_round(world, number)
            tell(f"round {number}: {len(rig.forge.pulls)} pull requests so far, {len(world.open())} open")
        settled(world)
        return world


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Scheduled deliveries with faults.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = play(Path(folder), given.rounds, given.seed, print)
    print(f"{given.rounds} rounds, seed {given.seed}: no promise broken")
    for what, count in sorted(world.happened.items()):
        print(f"  {what}: {count}")


if __name__ == "__main__":
    main()

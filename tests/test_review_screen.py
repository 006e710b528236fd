"""The review's screen, driven by textual's Pilot: every key, small and large, without colour, with hostile text in every field."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from conftest import git
from model_server import serve
from review_rig import APP, SETTINGS, Finished, verdict

pytest.importorskip("textual")

from textual.color import Color
from textual.pilot import Pilot
from textual.widgets import Input

from fixbot.agent.config import Settings
from fixbot.agent.result import Outcome, Status
from fixbot.agent.review.app import ReviewApp
from fixbot.agent.review.desk import Desk
from fixbot.agent.review.session import Mark
from fixbot.agent.review.trials import Trials
from fixbot.agent.review.widgets import Filter
from fixbot.detectors.finding import Related

SCREENS = Path(__file__).parent / "data" / "screens"
SMALL, LARGE = (80, 24), (130, 34)


def screen(app: ReviewApp) -> str:
    """The screen's text, a line a row, without space at the ends."""
    strips = app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


@contextmanager
def app_of(finished: Finished, settings: Settings = SETTINGS) -> Generator[ReviewApp]:
    """The application over a run."""
    with finished.desk(settings) as desk, closing(Trials(desk)) as trials:
        yield ReviewApp(desk, trials)


Steps = Callable[[ReviewApp, "Pilot[None]"], Awaitable[None]]


def drive(finished: Finished, steps: Steps, size: tuple[int, int] = SMALL, settings: Settings = SETTINGS) -> Desk:
    """Run the application and do something with it."""

    async def main(app: ReviewApp) -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    with app_of(finished, settings) as app:
        asyncio.run(main(app))
        return app.desk


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, each seen before the next."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def until(pilot: Pilot[None], done: Callable[[], object]) -> None:
    """Wait until something has come true; the screen answers meanwhile."""
    for _ in range(1200):
        if done():
            return
        await pilot.pause(0.05)
    raise AssertionError(f"waited in vain:\n{screen(cast(ReviewApp, pilot.app))}")


def same(app: ReviewApp, name: str) -> None:
    """Compare the screen with the one that is kept; UPDATE_SCREENS=1 keeps it."""
    path, shown = SCREENS / f"{name}.txt", screen(app)
    if "UPDATE_SCREENS" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()


def test_screens(finished: Finished) -> None:
    async def small(app: ReviewApp, pilot: Pilot[None]) -> None:
        await press(pilot, "a", "down", "down")
        same(app, "small")
        await press(pilot, "question_mark")
        same(app, "help")

    async def large(app: ReviewApp, pilot: Pilot[None]) -> None:
        await press(pilot, "end")
        same(app, "large")

    drive(finished, small)
    drive(finished, large, LARGE)


def test_accept_reject_skip_undo(finished: Finished) -> None:
    wave, shutil, lost = finished.name("wave"), finished.name("shutil"), finished.name("lenght")

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        marks = app.desk.review.entries
        await press(pilot, "a")
        assert marks[wave].mark is Mark.ACCEPTED
        assert app.current == shutil
        await press(pilot, "r", "c", *"loaded", "enter")
        assert (marks[shutil].status, marks[shutil].reason, marks[shutil].muting.value) == ("false-positive", "loaded", "comment")
        await press(pilot, "a")
        assert "there is no fix to accept" in screen(app)
        await press(pilot, "space")
        assert marks[lost].mark is Mark.SKIPPED
        await press(pilot, "A")
        assert "1 fix of bare-except accepted; all are decided" in screen(app)
        await press(pilot, "u", "u", "u")
        assert (marks[shutil].mark, app.current) == (Mark.OPEN, shutil)
        for key, status in (("b", "false-positive"), ("f", "false-positive"), ("w", "wrong-fix"), ("l", "later")):
            app.look_at(shutil)
            await press(pilot, "r", key, "enter")
            assert marks[shutil].status == status
            await press(pilot, "u")
        await press(pilot, "r", "z", "r", "w", "x", "escape")
        assert marks[shutil].mark is Mark.OPEN
        await press(pilot, "u", "u")
        assert "nothing to undo" in screen(app)
        await press(pilot, "q")

    drive(finished, steps)
    assert finished.decisions() == {}


def test_filter_sides_source_page_and_size(finished: Finished) -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        assert "|" not in screen(app)
        await press(pilot, "s")
        assert "  1   import os                    |    1   import os" in screen(app)
        await press(pilot, "slash", *"bare")
        assert "filter: bare (1 shown)" in screen(app)
        await press(pilot, "enter")
        assert app.current == finished.name("bare-except")
        await press(pilot, "pagedown")
        assert "except Exception" in screen(app)
        await press(pilot, "escape")
        assert "filter" not in screen(app).splitlines()[0]
        await press(pilot, "o")
        assert ">   16     except:" in screen(app)
        await press(pilot, "q", "p")
        assert "Finds except: without a type" in screen(app)
        await press(pilot, "q", "s")
        await pilot.resize_terminal(*LARGE)
        await pilot.pause()
        assert "|" not in screen(app), "the person has said: one below the other"
        assert "p page m model ? help q quit" in screen(app)
        await pilot.resize_terminal(80, 12)
        await pilot.pause()
        assert "q quit" in screen(app)
        await press(pilot, "slash", *"nothing like it", "enter", "a", "n", "down")
        assert not any(one.mark is not Mark.OPEN for one in app.desk.review.entries.values()), "nothing shown, nothing decided"

    drive(finished, steps)


def test_apply_to_the_tree_and_to_a_branch(finished: Finished) -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await press(pilot, "w")
        assert "nothing is accepted" in screen(app)
        await press(pilot, "a", "w", "z")
        assert (finished.folder / "app.py").read_text() == APP
        await press(pilot, "w", "t")
        await until(pilot, lambda: app.desk.review.counts()["applied"])
        assert "import wave" in (finished.folder / "app.py").read_text()
        assert "1 fix written to" in screen(app)
        assert "applied" in screen(app)
        app.look_at(finished.name("bare-except"))
        await press(pilot, "a", "w", "b")
        await until(pilot, lambda: app.desk.review.counts()["applied"] == 2)
        assert "committed to branch" in screen(app)

    drive(finished, steps)
    branch = f"fixbot/review-{finished.result.run}"
    assert "except Exception" in git(finished.folder, "show", f"{branch}:app.py")


def editor(place: Path, body: str) -> str:
    """A program that edits the file it is given."""
    script = place / "editor.py"
    script.write_text(f"import pathlib, sys\npath = pathlib.Path(sys.argv[1])\ntext = path.read_text()\n{body}\n")
    return f"{sys.executable} {script}"


def test_edit_verify_and_ask_with_the_real_sandbox(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, wave, bare = finished.name("lenght"), finished.name("wave"), finished.name("bare-except")
    fix = "app.py\n```\n<<<<<<< SEARCH\n    return lenght * width\n=======\n    return length * width\n>>>>>>> REPLACE\n```\n"

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        entries = app.desk.review.entries
        monkeypatch.setenv("EDITOR", editor(tmp_path, "path.write_text(text.replace('except Exception:', 'except OSError:'))"))
        app.look_at(bare)
        await press(pilot, "e", "v")
        assert "wait: try the edited fix is under way" in screen(app), "one trial at a time"
        assert "try the edited fix" in screen(app).splitlines()[0]
        await press(pilot, "a")
        assert entries[bare].mark is Mark.ACCEPTED, "decisions need not wait"
        app.look_at(bare)
        await until(pilot, lambda: entries[bare].revised)
        assert entries[bare].grade == "verified"
        assert (entries[bare].outcome.patch or {})["origin"] == "person"
        assert entries[bare].mark is Mark.ACCEPTED
        app.look_at(wave)
        await press(pilot, "v")
        await until(pilot, lambda: entries[wave].revised)
        assert "verify: verified" in screen(app)
        app.look_at(lost)
        await press(pilot, "m", *"the argument", "enter")
        await until(pilot, lambda: entries[lost].revised)
        assert entries[lost].outcome.status is Status.FIXED, entries[lost].outcome.reason
        assert "+     return length * width" in screen(app)
        monkeypatch.setenv("EDITOR", editor(tmp_path, "path.write_text(text.replace('return \"\"', 'return None'))"))
        app.look_at(bare)
        await press(pilot, "e")
        await until(pilot, lambda: app.job is None)
        assert entries[bare].outcome.status is Status.REGRESSED
        assert entries[bare].mark is Mark.OPEN, "a fix that breaks a test is accepted no more"
        assert "e edits it" in entries[bare].obstacle
        app.look_at(finished.name("shutil"))
        await press(pilot, "v", "q")
        assert "stopping the trial" in screen(app)
        await until(pilot, lambda: app.return_code is not None)
        assert not entries[finished.name("shutil")].revised

    with serve([fix, "ABSTAIN: no test"]) as server:
        settings = SETTINGS.model_copy(update={"model": "test-model", "base_url": server.base_url})
        desk = drive(finished, steps, settings=settings)
    assert "the argument" in server.requests[0].body["messages"][1]["content"]
    assert desk.review.entries[wave].grade == "verified"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("path.write_text(text.replace('import os', 'import os ('))", "does not parse"),
        ("pass", "nothing was changed"),
        ("sys.exit(3)", "ended with status 3"),
        ("path.unlink()", "cannot be read"),
    ],
)
def test_an_edit_that_is_refused(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str) -> None:
    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        before = app.entry
        await press(pilot, "e")
        assert words in screen(app)
        assert app.job is None
        assert app.entry == before

    monkeypatch.setenv("EDITOR", editor(tmp_path, body))
    drive(finished, steps)


HOSTILE = "[bold red]x[/] \x1b[31mred\x1b]0;t\x07 \u202eevil\u200b \udcff [@click=app.leave]go[/] \r\n\tend"


def hostile(one: Outcome) -> Outcome:
    finding = replace(
        one.finding, message=HOSTILE, scope=HOSTILE, path="a\x1b[2J[b].py", related=(Related(HOSTILE, 1, HOSTILE),), sources=(HOSTILE,)
    )
    patch = {"origin": "codemod", "safety": "safe", "bases": {"app.py": "0" * 40}, "edits": [["app.py", 0, 0, "x"]], "diff": HOSTILE}
    made = {**verdict("unverifiable"), "reason": HOSTILE, "executed_by": [HOSTILE]}
    spend = {"model": HOSTILE, "tokens": 1, "cost": None}
    return replace(one, finding=finding, status=Status.UNVERIFIABLE, reason=HOSTILE, patch=patch, verdict=made, spend=spend)


def test_hostile_text_in_every_field(finished: Finished) -> None:
    finished = finished.with_outcomes(*map(hostile, finished.result.outcomes))
    seen: list[str] = []

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        for key in ("s", "o", "q", "p", "q", "v"):
            await press(pilot, key)
            seen.append(screen(app))
        await until(pilot, lambda: app.job is None)
        await press(pilot, "r", "w")
        app.screen.query_one(Input).value = HOSTILE
        await press(pilot, "enter", "up")
        seen.append(screen(app))
        await press(pilot, "slash")
        app.query_one(Filter).value = "[/bold] [x"
        await pilot.pause()
        seen.append(screen(app))

    drive(finished, steps, (200, 50))
    whole = "".join(seen)
    assert "[bold red]x[/] \\x1b[31mred\\x1b]0;t\\x07" in whole
    assert "[@click=app.leave]go[/]" in whole
    assert "\\u202eevil\\u200b \\udcff" in whole
    assert not {sign for sign in whole if sign < " " and sign != "\n"}
    assert not set(whole) & set("\x1b\x07\u202e\u200b\x9b")


def test_no_colour(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    colours: set[object] = set()
    reversed_: list[str] = []

    async def steps(app: ReviewApp, pilot: Pilot[None]) -> None:
        await press(pilot, "s")
        for strip in app.screen._compositor.render_strips():  # pyright: ignore[reportPrivateUsage]
            for segment in strip.apply_filter(app._filters[-1], Color(0, 0, 0)):  # pyright: ignore[reportPrivateUsage]
                if segment.style is not None:
                    colours.update(one for one in (segment.style.color, segment.style.bgcolor) if one is not None and not one.is_default)
                    reversed_.extend([segment.text] if segment.style.reverse else [])

    monkeypatch.setenv("NO_COLOR", "1")
    drive(finished, steps)
    assert not colours
    assert "critical" in "".join(reversed_), "the current finding can be told without colour"

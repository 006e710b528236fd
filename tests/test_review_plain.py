"""``fixbot review`` as a process: questions and answers through pipes, and the screen in a real terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import FIXBOT, MakeRepository, RunFixbot, git
from review_rig import APP, Finished

from fixbot.agent.result import Status
from fixbot.agent.store import Ledger


def environment(finished: Finished, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("FIXBOT_", "GIT_")) and name != "NO_COLOR"}
    return inherited | {"FIXBOT_STATE_DIR": str(finished.state), "FIXBOT_BASELINE_RUNS": "1", "FIXBOT_PYTHON": sys.executable, **more}


def answer(finished: Finished, *answers: str, target: str | Path = "last", code: int = 0, **more: str) -> str:
    """Everything that a review says when it gets these answers."""
    command = [FIXBOT, "review", target, "--quiet"]
    typed = "".join(f"{one}\n" for one in answers)
    done = subprocess.run(
        command, input=typed, env=environment(finished, **more), cwd="/", capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_questions_and_answers(finished: Finished) -> None:
    said = answer(finished, "?", "o", "s", "y", "r", "c", "loaded", "x", "r", "nothing", "n", "a", "t", target=finished.folder)
    for text in (
        "(1 of 4)\ncritical undefined-name  app.py:5  duration\n",
        "verified: 1 of 1 changed lines executed by passing tests",
        "    2 + import wave\n",
        "u  undo the last decision",
        ">    5     with wave.open",
        "    1   import os                    ",
        "Your decision [y,n,a,r,s,e,v,o,p,u,w,q,?]? n",
        "1 fix of bare-except accepted",
        f"2 fixes and 1 muting written to {finished.folder}",
        "4 findings, 3 applied, 1 skipped",
        f"fixbot review {finished.result.run}",
    ):
        assert text in said
    text = (finished.folder / "app.py").read_text()
    assert "import wave\n" in text
    assert "# fixbot: ignore[undefined-name] loaded\n" in text
    assert "except Exception:" in text
    assert "import shutil" not in text


def test_the_end_of_the_input_saves_and_the_review_goes_on(finished: Finished) -> None:
    assert "1 accepted, 3 open" in answer(finished, "y")
    said = answer(finished, "u", "y", "r", "w", "", "w", "b", "q")
    assert said.startswith("4 findings, 1 accepted, 3 open\n\n(2 of 4)\n")
    assert "nothing to undo" in said
    assert "critical undefined-name  app.py:21" in said
    assert sorted(finished.decisions().values()) == ["accepted", "accepted", "wrong-fix"]
    assert "2 fixes committed to branch" in said
    assert "import wave" in git(finished.folder, "show", f"fixbot/review-{finished.result.run}:app.py")


def test_edit_in_plain_and_verify(finished: Finished, tmp_path: Path) -> None:
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\nplace = pathlib.Path(sys.argv[1])\nplace.write_text(place.read_text().replace('lenght', 'length'))\n"
    )
    said = answer(finished, "n", "n", "m", "e", "y", "n", "b", EDITOR=f"{sys.executable} {script}")
    assert "there is no model to ask" in said
    assert "checked: 0 of 1 changed lines executed by passing tests" in said
    assert "fix by person, tried in this review" in said
    assert "1 fix committed to branch" in said
    assert git(finished.folder, "show", f"fixbot/review-{finished.result.run}:app.py") + "\n" == APP.replace("lenght", "length")


def test_hostile_text_between_the_questions(finished: Finished) -> None:
    text = "::stop-commands::x\n##[error]y \x1b]0;t\x07[bold]z[/] \u202e"
    made = [
        replace(one, finding=replace(one.finding, message=text, path="::error::.py"), status=Status.UNVERIFIABLE, reason=text, patch=None)
        for one in finished.result.outcomes
    ]
    said = answer(finished.with_outcomes(*made), "o", "s", "p", "r", "w", "::notice::me\x1b[2J", "q", GITHUB_ACTIONS="true")
    assert "[bold]z[/]" in said
    assert not set(said) & set("\x1b\x07\u202e")
    assert not [line for line in said.splitlines() if line.strip().startswith("::") or "##[" in line]


def test_a_review_makes_its_run_first(make_repository: MakeRepository, fixbot: RunFixbot, tmp_path: Path) -> None:
    folder = make_repository({"app.py": "def area(length):\n    return lenght\n"})
    done = fixbot("review", folder)
    assert done.returncode == 0, done.stderr
    assert "found 1 finding in 1 file" in done.stderr
    assert "needs-model" in done.stdout
    again = fixbot("review", folder)
    assert "found" not in again.stderr
    assert done.stdout == again.stdout
    with closing(Ledger(tmp_path / "state" / "ledger.sqlite")) as ledger:
        assert len(list(ledger.runs(str(folder)))) == 1


@pytest.mark.parametrize(("target", "words"), [("nowhere", "no runs begin with `nowhere`"), ("/", "is not in a git repository")])
def test_nothing_to_review(finished: Finished, target: str, words: str) -> None:
    assert words in answer(finished, target=target, code=2)


def test_without_textual_there_is_a_cure(finished: Finished, tmp_path: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'textual' else find(name, *more)\n"
        "sys.stdin.isatty = sys.stdout.isatty = lambda: True\n"
        "sys.argv = ['fixbot', 'review', 'last']\n"
        "from fixbot.agent import cli\ncli.main()\n"
    )
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=environment(finished, TERM="xterm"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        2,
        "fixbot: the review screen needs textual\n  pip install 'fixbot[tui]', or go without: fixbot review --plain\n",
    )


# In a real terminal

TMUX = shutil.which("tmux") or "tmux"
needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A terminal of 80 by 24 in which a review runs."""

    def __init__(self, finished: Finished, place: Path, **more: str) -> None:
        self._socket = str(place / "tmux")
        wanted = {
            name: value for name, value in environment(finished, **more).items() if name.startswith(("FIXBOT_", "EDITOR", "NO_COLOR"))
        }
        pairs = [part for name, value in wanted.items() for part in ("-e", f"{name}={value}")]
        command = f"{FIXBOT} review last; echo ended $?; stty -a | grep -o ' echo '; exec cat"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", *pairs, command)

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run([TMUX, "-S", self._socket, *arguments], check=True, capture_output=True, text=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self, *more: str) -> str:
        return self._tmux("capture-pane", "-p", *more)

    def until(self, done: Callable[[str], object]) -> str:
        end = time.monotonic() + 60
        while not done(shown := self.screen()):
            assert time.monotonic() < end, shown
            time.sleep(0.05)
        return shown

    def close(self) -> None:
        self._tmux("kill-server")


@needs_tmux
def test_in_a_real_terminal(finished: Finished, tmp_path: Path) -> None:
    script = tmp_path / "editor.sh"
    script.write_text("#!/bin/sh\necho edited by hand\nread answer\nexit 1\n")
    script.chmod(0o755)
    terminal = Terminal(finished, tmp_path, EDITOR=str(script))
    try:
        shown = terminal.until(lambda text: "q quit" in text)
        assert "critical undefined-name           app.py:5        verified" in shown
        assert "\x1b[" in terminal.screen("-e")
        terminal.press("e")
        terminal.until(lambda text: "edited by hand" in text and "q quit" not in text)
        terminal.press("Enter")
        terminal.until(lambda text: "the editor ended with status 1" in text and "q quit" in text)
        terminal.press("a")
        terminal.until(lambda text: "1 accepted, 3 open" in text)
        terminal.press("q")
        shown = terminal.until(lambda text: "ended 0" in text and "\n echo" in text)
        assert f"saved; go on with: fixbot review {finished.result.run}" in shown
    finally:
        terminal.close()
    assert finished.decisions() == {finished.name("wave"): "accepted"}


@needs_tmux
def test_in_a_real_terminal_without_colour(finished: Finished, tmp_path: Path) -> None:
    terminal = Terminal(finished, tmp_path, NO_COLOR="1")
    try:
        terminal.until(lambda text: "q quit" in text)
        terminal.press("s")
        terminal.until(lambda text: "|" in text)
        codes = {code for part in terminal.screen("-e").split("\x1b[")[1:] for code in part.partition("m")[0].split(";")}
        assert codes <= {"", "0", "1", "2", "3", "4", "7", "39", "49", "22", "23", "24", "27"}
        assert "7" in codes
    finally:
        terminal.close()

"""One run of a target's test suite: every outcome, every way to end early, and the lines that each test executes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import venv
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

import pytest

from fixbot.agent.environments import Environment
from fixbot.agent.sandbox.base import Limits, Sandbox
from fixbot.agent.sandbox.choose import choose
from fixbot.agent.verify.results import Events
from fixbot.agent.verify.suite import SuiteOptions, SuiteResult, run_suite

Run = Callable[..., SuiteResult]


def environment(python: Path) -> Environment:
    """An environment around an interpreter, as if found."""
    told = subprocess.run(
        [python, "-I", "-c", "import sys; print(sys.prefix); print(sys.base_prefix)"], capture_output=True, text=True, check=True
    ).stdout.split()
    paths = [path for prefix in told for path in (Path(prefix), Path(prefix).resolve())]
    return Environment(python=python, description="test", readable=tuple(dict.fromkeys(paths)), pythonpath=(), notes=())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A bare environment of the running version, with pytest supplied on the path and no plugin: starts three times as fast."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", symlinks=True)
    (folder / "supplied").mkdir()
    for name in ("pytest", "pluggy", "iniconfig", "packaging", "pygments"):
        parts = distribution(name)
        for top in {file.parts[0] for file in parts.files or ()} - {".."}:
            place = Path(str(parts.locate_file(top)))
            (shutil.copytree if place.is_dir() else shutil.copy)(place, folder / "supplied" / top)
    bare = environment(folder / "venv" / "bin" / "python")
    return replace(bare, readable=(*bare.readable, folder / "supplied"), pythonpath=(folder / "supplied",))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return choose("auto", tmp_path_factory.mktemp("target"))


@pytest.fixture
def run(tmp_path: Path, here: Environment, sandbox: Sandbox) -> Run:
    """Runs the suite of a repository given as {path: content}."""

    def start(
        files: Mapping[str, str], used: Environment = here, progress: Callable[[int, int], None] | None = None, **options: object
    ) -> SuiteResult:
        tree = tmp_path / "copy"
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return run_suite(tree, used, sandbox, SuiteOptions(**options), tmp_path / "repository", progress)  # type: ignore[arg-type]

    return start


def outcomes(result: SuiteResult) -> dict[str, str]:
    return {name.partition("::")[2]: test.outcome for name, test in result.tests.items()}


EVERY = {
    "tests/test_every.py": """
    import os, sys, unittest
    import pytest
    import shop
    def test_ok(): assert shop.double(2) == 4
    def test_bad(): assert shop.double(2) == 5, "x" * 50_000
    @pytest.fixture
    def broken(): raise ValueError("no set-up")
    def test_setup(broken): pass
    @pytest.fixture
    def late():
        yield
        raise ValueError("no tear-down")
    def test_teardown(late): pass
    @pytest.mark.skip(reason="not today")
    def test_skip(): pass
    @pytest.mark.xfail(reason="known")
    def test_known(): assert False
    @pytest.mark.xfail
    def test_better(): pass
    @pytest.mark.xfail(strict=True)
    def test_strict(): pass
    @pytest.mark.parametrize("word", ["a b", "[x]", "é::y", "-q", "two\\nlines", "\\udc80"])
    def test_word(word): assert word
    class Old(unittest.TestCase):
        def test_method(self): self.assertEqual(shop.double(1), 2)
        def test_subtest(self):
            with self.subTest(number=1): self.fail("inner")
    def test_exit(): sys.exit(0)
    def test_place(tmp_path):
        assert not any("FIXBOT" in name for name in os.environ)
        assert (os.environ["TZ"], os.environ["PYTHONHASHSEED"], os.environ["LC_ALL"]) == ("UTC", "0", "C.UTF-8")
        assert "" not in sys.path and os.getcwd() in sys.path
        with open(os.path.expanduser("~/mine"), "w") as stream: stream.write("x")
    """,
    "shop.py": "def double(number):\n    return 2 * number\n",
}


def test_every_outcome(run: Run) -> None:
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))

    result = run(EVERY, progress=progress)
    words = ["a b", "[x]", "\\xe9::y", "-q", "two\\nlines", "\\udc80"]
    assert result.complete, result.problem
    assert (result.problem, result.exit_code, result.limit, result.line_evidence) == ("", 1, None, False)
    assert outcomes(result) == {
        "test_ok": "passed", "test_bad": "failed", "test_setup": "error", "test_teardown": "error", "test_skip": "skipped",
        "test_known": "xfailed", "test_better": "xpassed", "test_strict": "failed", "Old::test_method": "passed",
        "Old::test_subtest": "failed", "test_exit": "failed", "test_place": "passed", **{f"test_word[{word}]": "passed" for word in words},
    }  # fmt: skip
    details = {name.partition("::")[2]: test.detail for name, test in result.tests.items()}
    assert "characters left out" in details["test_bad"]
    assert "assert 4 == 5" in details["test_bad"]
    assert len(details["test_bad"]) < 9000
    assert "no set-up" in details["test_setup"]
    assert "no tear-down" in details["test_teardown"]
    assert "not today" in details["test_skip"]
    assert details["test_known"] == "known"
    assert details["test_ok"] == ""
    assert set(result.collected) == set(result.tests)
    assert seen[-1] == (18, 18)
    assert [done for done, _ in seen] == list(range(1, 19))
    assert SuiteResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_collection_error_leaves_the_rest(run: Run) -> None:
    result = run({"test_a.py": "def test_a(): pass\n", "test_b.py": "import nothing_like_this\n"})
    assert (result.complete, result.problem, outcomes(result)) == (True, "", {"test_a": "passed"})
    assert list(result.collection_errors) == ["test_b.py"]
    assert "nothing_like_this" in result.collection_errors["test_b.py"]


def test_nothing_to_run(run: Run, here: Environment) -> None:
    result = run({"shop.py": "A = 1\n"})
    assert (result.complete, result.problem, result.exit_code) == (False, "no tests collected", 5)
    result = run({"test_a.py": "1 / 0\n"})
    assert (result.complete, result.problem) == (False, "no tests collected (1 collection error)")
    result = run({}, used=replace(here, pythonpath=()))
    assert (result.complete, result.problem, dict(result.tests)) == (False, "pytest is not installed", {})


ENDS = {
    "os._exit(0)": "the test process ended at test_a.py::test_end with exit code 0 before its report was complete",
    "os.kill(os.getpid(), 9)": "the test process ended at test_a.py::test_end by signal 9 before its report was complete",
    "pytest.exit('enough', returncode=0)": "pytest.exit: enough",
    "raise KeyboardInterrupt": "KeyboardInterrupt: ",
    "request.config.pluginmanager.unregister(name='fixbot-reporter')": "the test process ended at test_a.py::test_end with exit code 0 "
    "before its report was complete",
    "request.session.shouldstop = 'tired'": "Interrupted: tired",
    "request.config.hook.pytest_runtest_logreport = lambda **_: None": "3 of 3 collected tests have no outcome, the first is "
    "test_a.py::test_first",
}


@pytest.mark.parametrize("end", ENDS)
def test_early_end_is_not_complete(run: Run, end: str) -> None:
    first = end if "logreport" in end else "pass"
    code = f"""
    import os, pytest
    def test_first(request): {first}
    def test_end(request): {end}
    def test_last(): pass
    """
    result = run({"test_a.py": code})
    assert (result.complete, result.problem) == (False, ENDS[end])
    assert "test_a.py::test_last" not in result.tests
    assert len(result.collected) == 3


def test_end_outside_of_tests(run: Run) -> None:
    result = run({"test_a.py": "import os\nos._exit(0)\n"})
    assert result.problem == "the test process ended during collection with exit code 0 before its report was complete"
    result = run({"conftest.py": "import os\ndef pytest_sessionfinish(): os._exit(0)\n", "test_a.py": "def test_a(): pass\n"})
    assert (result.complete, outcomes(result)) == (False, {"test_a": "passed"})
    assert result.problem == "the test process ended between tests with exit code 0 before its report was complete"
    result = run({"conftest.py": "import nothing_like_this\n"})
    assert result.problem.startswith("usage error: ")
    assert "nothing_like_this" in result.problem
    assert not result.complete


def test_usage_error(run: Run) -> None:
    result = run({"pytest.ini": "[pytest]\naddopts = --nonsense\n", "test_a.py": "def test_a(): pass\n"})
    assert (result.complete, result.exit_code) == (False, 4)
    assert result.problem.startswith("usage error: ")
    assert "--nonsense" in result.problem


def test_slow_test_fails_and_the_run_goes_on(run: Run) -> None:
    code = """
    import time, pytest
    def test_loop():
        while True:
            try: pass
            except Exception: pass
    def test_sleep(): time.sleep(60)
    @pytest.fixture
    def slow():
        yield
        time.sleep(60)
    def test_teardown(slow): pass
    def test_swallow():
        try: time.sleep(60)
        except BaseException: pass
    def test_last(): pass
    """
    result = run({"test_a.py": code}, test_timeout=0.4, timeout=60)
    assert result.complete, result.problem
    assert outcomes(result) == {
        "test_loop": "failed",
        "test_sleep": "failed",
        "test_teardown": "error",
        "test_swallow": "failed",
        "test_last": "passed",
    }
    assert all("timeout: longer than 0.4 s" in test.detail for test in result.tests.values() if test.outcome != "passed")
    assert result.seconds < 30


def test_wall_limit(run: Run) -> None:
    blocked = "import signal\ndef test_a(): pass\ndef test_b():\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass\n"
    result = run({"test_a.py": blocked}, timeout=6, test_timeout=0.5)
    assert (result.complete, result.limit, result.exit_code) == (False, "time", None)
    assert result.problem == "limit: time (6 s), at test_a.py::test_b"
    assert outcomes(result) == {"test_a": "passed"}
    result = run({"test_a.py": "while True: pass\n"}, timeout=2)
    assert (result.complete, result.problem) == (False, "limit: time (2 s)")


def test_rough_tests_do_not_break_the_report(run: Run) -> None:
    code = """
    import json, os, sys, threading, time
    from unittest import mock
    def test_noise():
        block = b"\\0noise" * 20_000
        for _ in range(420): os.write(1, block)
    def test_descriptors():
        for number in range(3, 101):
            try: os.close(number)
            except OSError: pass
        os.closerange(3, 900)
    def test_streams():
        sys.stdout = sys.stderr = sys.__stdout__ = None
    def test_mocks():
        for name in ("os.write", "os.getpid", "os.fstat", "time.perf_counter", "json.dumps", "os.path.realpath", "time.sleep"):
            mock.patch(name).start()
    def test_fork_once():
        if os.fork() == 0: os._exit(0)
        os.wait()
    def test_fork_returns():
        global child
        child = os.fork()
        if child: os.waitpid(child, 0)
    def test_in_the_fork_too(): assert child
    def test_thread():
        threading.Thread(target=threading.Event().wait).start()
    """
    result = run({"test_a.py": code, "pytest.ini": "[pytest]\naddopts = -s\n"}, limits=Limits(output=20_000))
    assert result.complete, result.problem
    assert set(outcomes(result).values()) == {"passed"}
    assert len(result.tests) == 8
    assert len(result.output) < 25_000
    assert result.limit is None  # the thread that never ends did not hold the run
    assert result.seconds < 60


@pytest.mark.parametrize("plugins", [False, True])
def test_configuration_that_would_lose_outcomes(run: Run, here: Environment, plugins: bool) -> None:
    files = {
        "setup.cfg": "[tool:pytest]\naddopts = -x --cov=shop --cov-report term-missing --ff --sw -n 2 --timeout 5 -m 'not slow'\n"
        "markers = slow\n",
        "test_a.py": """
        import pytest
        def test_a(): assert 0
        def test_b(): assert 0
        def test_c(): pass
        @pytest.mark.slow
        def test_d(): pass
        """,
    }
    result = run(files, used=environment(Path(sys.executable)) if plugins else here)
    assert result.complete, result.problem
    assert outcomes(result) == {"test_a": "failed", "test_b": "failed", "test_c": "passed"}
    notes = " ".join(result.notes)
    assert ("-n 2" in notes) is not plugins  # pytest-xdist is there and told to use one process
    assert "--cov=shop" in notes
    assert "--cov-report term-missing" in notes
    assert "--timeout 5" in notes


def test_select(run: Run) -> None:
    files = {
        "pytest.ini": "[pytest]\npython_files = *.py\n",
        "-x [1].py": "import pytest\n@pytest.mark.parametrize('v', ['-k a', '[b]', 'c'])\ndef test_v(v): pass\n",
        "two\nlines.py": "def test_n(): pass\ndef test_m(): pass\n",
        "pkg/__init__.py": "",
        "pkg/test_p.py": "class TestP:\n    def test_q(self): pass\n    def test_r(self): pass\n",
        "other.py": "raise SystemExit('must not be imported')\n",
        "sub/pytest.ini": "[pytest]\n",
    }
    wanted = ["-x [1].py::test_v[-k a]", "-x [1].py::test_v[[b]]", "two\nlines.py::test_n", "pkg/test_p.py::TestP::test_q"]
    result = run(files, select=wanted)
    assert result.complete, result.problem
    assert {name: test.outcome for name, test in result.tests.items()} == dict.fromkeys(wanted, "passed")
    assert set(result.collected) == set(wanted)
    result = run({"other.py": ""}, select=[wanted[0], "other.py::test_gone"])
    assert (result.complete, list(result.tests)) == (False, [wanted[0]])
    assert result.problem == "1 of the selected tests were not collected, the first is other.py::test_gone"


WATCHED = {
    "src/shop/__init__.py": "",
    "src/shop/core.py": """\
    import threading
    RATE = 2
    def double(number):
        result = RATE * number
        return result
    def lazy(items):
        for item in items:
            yield item + 1
    def other():
        return 1
    def behind():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    """,
    "test_core.py": """
    import os, sys
    import pytest
    from shop import core
    def test_double(): assert core.double(2) == 4
    def test_twice(): assert core.double(2) + core.double(3) == 10
    def test_lazy(): assert list(core.lazy([1, 2])) == [2, 3]
    def test_thread(): core.behind()
    def test_none(): pass
    def test_tracer_removed():
        sys.settrace(None)
    def test_moved(tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert core.double(1) == 2
    def test_failing():
        core.double("a")
        assert 0
    """,
}
EVIDENCE = {
    "test_double": (4,), "test_twice": (4,), "test_lazy": (8,), "test_thread": (10,), "test_none": (), "test_tracer_removed": (),
    "test_moved": (4,), "test_failing": (4,),
}  # fmt: skip


def interpreter(folder: Path, versions: list[str], package: str) -> Environment:
    """A new environment with a pytest for one of these Python versions; skips when there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    places = [path for version in versions for path in sorted(root.glob(f"{version}.*/bin/python"))]
    places += [Path("/usr/bin", f"python{version}") for version in versions]
    found = next((path for path in places if path.exists()), None)
    if found is None:
        pytest.skip(f"no Python {' or '.join(versions)} here")
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    for words in (["venv", "--no-project", "-p", str(found), str(folder)], ["pip", "install", "-p", str(python), package]):
        done = subprocess.run([uv, "-q", "--no-config", *words], cwd=folder.parent, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{package} cannot be installed: {done.stderr.strip()[-200:]}")
    return environment(python)


@pytest.fixture(params=["running", "monitoring", "oldest"])
def any_python(request: pytest.FixtureRequest, here: Environment, tmp_path: Path) -> Environment:
    if request.param == "running":
        return here
    oldest = request.param == "oldest"
    return interpreter(tmp_path / "venv", ["3.8", "3.9"] if oldest else ["3.14", "3.13", "3.12"], "pytest==6.2.5" if oldest else "pytest")


def test_lines_of_each_test(run: Run, any_python: Environment) -> None:
    watch = {"src/shop/core.py": [2, 4, 8, 10, 99], "src/shop/absent.py": [1]}
    result = run(WATCHED, used=any_python, watch=watch)
    assert result.complete, result.problem
    assert result.line_evidence
    assert {name: test.lines.get("src/shop/core.py", ()) for name, test in result.tests.items()} == {
        f"test_core.py::{name}": lines for name, lines in EVIDENCE.items()
    }
    assert dict(result.import_lines) == {"src/shop/core.py": (2,)}
    assert outcomes(result)["test_failing"] == "failed"
    assert result.tests["test_core.py::test_none"].lines == {}
    chosen = run({}, used=any_python, watch=watch, select=["test_core.py::test_lazy"])
    assert {name: dict(test.lines) for name, test in chosen.tests.items()} == {"test_core.py::test_lazy": {"src/shop/core.py": (8,)}}
    assert chosen.complete


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="a tracer does not hinder sys.monitoring")
def test_another_tracer_means_no_evidence(run: Run) -> None:
    conftest = "import sys\ndef spy(frame, event, arg): return spy\nsys.settrace(spy)\n"
    result = run({**WATCHED, "conftest.py": conftest}, watch={"src/shop/core.py": [4]})
    assert result.complete, result.problem
    assert not result.line_evidence
    assert any("another tracer" in note for note in result.notes)
    assert outcomes(result)["test_double"] == "passed"


def test_test_commands(run: Run) -> None:
    files = {
        "a/test_a.py": "def test_one(): pass\ndef test_two(): assert 0\n",
        "b/test_b.py": "def test_three(): pass\n",
        "check.py": "import sys\nprint('Ran 1 test')\nsys.exit(len(sys.argv) - 1)\n",
        "Makefile.sh": "exec pytest b\n",
    }
    result = run(files, test_command="pytest a -k 'one or two' --maxfail=1")
    assert result.complete, result.problem
    assert outcomes(result) == {"test_one": "passed", "test_two": "failed"}
    result = run({}, test_command="uv run python -m pytest -k three -p no:faulthandler")
    assert (result.problem, outcomes(result)) == ("", {"test_three": "passed"})
    result = run({}, test_command="(cd a && pytest -q); cd b && pytest -q")
    assert (result.problem, outcomes(result)) == ("", {"test_one": "passed", "test_two": "failed", "test_three": "passed"})
    result = run({}, test_command="sh Makefile.sh")
    assert (result.problem, outcomes(result)) == ("", {"test_three": "passed"})
    for words, outcome in (("python check.py", "passed"), ("python check.py bad", "failed")):
        result = run({}, test_command=words)
        assert (result.complete, result.collected, result.tests["command"].outcome) == (True, ("command",), outcome)
        assert "Ran 1 test" in result.tests["command"].detail
        assert result.problem == "per-test results are not available: the test command does not run pytest"
    result = run({}, test_command="sh -c 'exit 0 # pytest'")
    assert (result.complete, dict(result.tests)) == (False, {})
    assert result.problem == "the test process ended with exit code 0 before pytest started"


def test_modules_named_like_the_standard_library(run: Run) -> None:
    files = {
        "calendar.py": "MINE = 1\n",
        "shop.py": "A = 1\n",
        "tests/test_a.py": "import email.utils, shop\ndef test_a(): assert email.utils.formatdate(0)\n",
    }
    result = run(files)
    assert (result.problem, outcomes(result)) == ("", {"test_a": "passed"})


def event(**fields: object) -> bytes:
    return json.dumps({"run": "token", **fields}).encode()


def test_events_that_are_not_ours_or_make_no_sense() -> None:
    events = Events("token", {"/repo/a.py": ("a.py", frozenset({3, 4}))})
    good = {"event": "outcome", "id": "t", "seconds": 1, "detail": ""}
    for line in (
        event(event="outcome", run="guess", id="t", outcome="passed", seconds=1, detail="", lines={}),
        event(**good, outcome="splendid", lines={}),
        event(**good, outcome="passed", lines=7),
        event(**good, outcome=["passed"], lines={}),
        event(event="outcome"),
        event(event="collected", ids=5),
        event(event="end", outcomes="many"),
        b"[" * 100_000,
        b"\xff\x00 not json",
        b"[]",
        b"null",
    ):
        events.add(line)
    assert (events.tests, events.collected, events.ended) == ({}, {}, 0)
    events.add(event(**good, outcome="passed", lines={"/repo/a.py": [4, 5], "/etc/passwd": [1]}))
    assert events.tests["t"].lines == {"a.py": (4,)}
    events.add(event(**good, outcome="failed", lines={}))
    events.add(event(**good, outcome="passed", lines={}))
    assert events.tests["t"].outcome == "failed"

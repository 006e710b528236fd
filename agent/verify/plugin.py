"""The pytest plugin that reports a target's tests to fixbot. Runs in the target's interpreter, inside the sandbox.

Started as a script it is ``pytest`` with this plugin's folder on the path. It uses the standard library and pytest only, and works with
Python 3.8 and later and pytest 6 and later. Each event is one line of JSON, written whole to a private copy of the pipe that fixbot
hands over in FIXBOT_EVENTS_FD, with the run's token. A process without that pipe and token (a pytest that a test starts, a fork)
says nothing. Without a watch file nothing is traced.

Code of the target runs in this very process and could write such lines itself: results are evidence about code that
does not set out to deceive, and ``suite`` states this limit.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import resource
import signal
import stat
import sys
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

_TEXT = 8192  # characters kept of a failure's text
_CHUNK = 65536  # characters of node ids in one event
_LINGER = 3.0  # seconds for exit handlers and left-over threads after the last event
_AGAIN = 5.0  # seconds after which a test that swallowed its timeout is interrupted again
_SHORTEST = 5.0  # seconds that a test always gets


class _Channel:
    """Writes events. Keeps several close-on-exec copies of the pipe and checks which still is it: tests close descriptors."""

    def __init__(self, descriptor: int, token: str) -> None:
        self._token, self._lock, self._pid = token, threading.Lock(), os.getpid()
        # The functions themselves: tests replace those in the modules.
        self._getpid, self._write, self._fstat, self._sleep = os.getpid, os.write, os.fstat, time.sleep
        self._encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
        status = os.fstat(descriptor)
        if not stat.S_ISFIFO(status.st_mode):
            raise OSError("FIXBOT_EVENTS_FD is not a pipe")
        self._identity = (status.st_dev, status.st_ino)
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        most = 4096 if soft == resource.RLIM_INFINITY else min(soft, 4096)
        self._copies = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, most * part // 8) for part in (7, 5, 3)]
        os.close(descriptor)

    def owned(self) -> bool:
        """Whether this is the process that pytest was started in, not a fork of it."""
        return self._getpid() == self._pid

    def send(self, event: str, **fields: Any) -> None:
        """Write one event, whole, or nothing when the pipe is gone."""
        if not self.owned():
            return
        line = self._encode(dict(fields, event=event, run=self._token)).encode("ascii") + b"\n"
        with self._lock:
            while line:
                descriptor = self._descriptor()
                if descriptor is None:
                    return
                try:
                    line = line[self._write(descriptor, line) :]
                except BlockingIOError:
                    self._sleep(0.01)
                except OSError:
                    return

    def _descriptor(self) -> int | None:
        for copy in self._copies:
            try:
                status = self._fstat(copy)
            except OSError:
                continue
            if (status.st_dev, status.st_ino) == self._identity:
                return copy
        return None


class _Watchdog:
    """Interrupts the main thread when one phase of a test (set-up, call, tear-down) takes longer than ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.fired, self._armed = seconds, False, False
        self._clock, self._set, self._signal = time.perf_counter, signal.setitimer, signal.signal

    def shorten(self, slowest: float) -> None:
        """After a test that hung, others get half the time: a suite with many of them shall end. ``slowest`` is a test's that did not."""
        self.seconds = min(self.seconds, max(self.seconds / 2, _SHORTEST, 10 * slowest))

    def phase(self) -> Iterator[None]:
        """Body of a hook wrapper. Leaves a shorter timer of the target's own alone, and puts back a longer one."""
        before = signal.getitimer(signal.ITIMER_REAL)[0]
        main = threading.current_thread() is threading.main_thread()
        if not main or self.seconds <= 0 or 0 < before < self.seconds:
            yield
            return
        started, handler = self._clock(), self._signal(signal.SIGALRM, self._ring)
        self._armed = True
        self._set(signal.ITIMER_REAL, self.seconds, _AGAIN)
        yield
        self._armed = False
        self._set(signal.ITIMER_REAL, 0.0)
        if signal.getsignal(signal.SIGALRM) == self._ring:
            self._signal(signal.SIGALRM, signal.SIG_DFL if handler is None else handler)
            if before:
                self._set(signal.ITIMER_REAL, max(before - (self._clock() - started), 0.001))

    def _ring(self, _number: int, _frame: Any) -> None:
        if self._armed:
            self.fired = True
            pytest.fail(f"timeout: longer than {self.seconds:g} s")


class _Reporter:
    """Hooks of one pytest session; ``select`` keeps only these node ids, ``lines`` is the line evidence or None."""

    def __init__(self, channel: _Channel, watchdog: _Watchdog, lines: Any, select: set[str] | None) -> None:
        self._channel, self._watchdog, self._lines, self._select = channel, watchdog, lines, select
        self._clock, self._sleep, self._exit, self._thread = time.perf_counter, time.sleep, os._exit, threading.Thread
        self._test, self._outcome, self._detail, self._sent = "", "", "", 0
        self._lost, self._status, self._slowest = False, 0, 0.0

    def imported(self) -> None:
        """Send the lines that ran while no test did."""
        if self._lines is not None:
            lines = self._lines.take()
            if lines:
                self._channel.send("import", lines=lines)
            if self._lines.problem and not self._lost:
                self._lost = True
                self._channel.send("lines", problem=self._lines.problem)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._channel.send("collection error", id=report.nodeid, detail=cut(text(report)))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any], config: Any) -> None:
        if self._select is not None:
            left_out = [item for item in items if item.nodeid not in self._select]
            items[:] = [item for item in items if item.nodeid in self._select]
            if left_out:
                config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: Any) -> None:
        chunk: list[str] = []
        size = 0
        for item in session.items:
            chunk.append(item.nodeid)
            size += len(item.nodeid)
            if size > _CHUNK:
                self._channel.send("collected", ids=chunk)
                chunk, size = [], 0
        self._channel.send("collected", ids=chunk)
        self.imported()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: Any) -> Generator[None, Any, None]:
        self.imported()
        self._test, self._outcome, self._detail, self._watchdog.fired = item.nodeid, "", "", False
        self._channel.send("begin", id=item.nodeid)
        started = self._clock()
        result: Any = yield
        if result.excinfo is None and self._outcome:
            self._send(self._clock() - started)
        self._test = ""

    def _send(self, seconds: float) -> None:
        lines: dict[str, list[int]] = {} if self._lines is None else self._lines.take()
        if self._watchdog.fired:
            self._outcome = "error" if self._outcome == "error" else "failed"
            self._detail = cut(f"timeout: longer than {self._watchdog.seconds:g} s\n" + self._detail)
            self._watchdog.shorten(self._slowest)
        else:
            self._slowest = max(self._slowest, seconds)
        self._channel.send("outcome", id=self._test, outcome=self._outcome, seconds=round(seconds, 6), detail=self._detail, lines=lines)
        self._sent += self._channel.owned()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.nodeid != self._test:
            return
        if report.outcome == "rerun":  # by pytest-rerunfailures: what follows is the next attempt
            self._outcome, self._detail = "", ""
        outcome = kind(report)
        if outcome and (not self._outcome or outcome in ("failed", "error")) and self._outcome != "failed":
            self._outcome, self._detail = outcome, cut(text(report)) if outcome != "passed" else ""

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_setup(self) -> Iterator[None]:
        yield from self._watchdog.phase()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        yield from self._watchdog.phase()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        yield from self._watchdog.phase()

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        name = "pytest.exit" if isinstance(excinfo.value, pytest.exit.Exception) else excinfo.typename
        self._channel.send("problem", text=cut(f"{name}: {excinfo.value}"))

    def pytest_internalerror(self, excinfo: Any) -> None:
        self._channel.send("problem", text=cut(f"pytest internal error: {excinfo.value!r}"))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: Any) -> Iterator[None]:
        yield
        self.imported()
        self._status = int(exitstatus)
        self._channel.send("end", status=self._status, outcomes=self._sent)
        self._thread(target=self._leave, daemon=True).start()  # threads that the tests left behind may not hold the process

    def _leave(self) -> None:
        self._sleep(_LINGER)
        self._exit(self._status)


def kind(report: Any) -> str:
    """The outcome that one report of a test's phase gives it; "" for a phase that decides nothing (set-up passed, a subtest passed)."""
    if report.outcome == "failed":
        return "failed" if report.when == "call" else "error"
    if getattr(report, "context", None) is not None or report.outcome not in ("passed", "skipped"):
        return ""
    expected = hasattr(report, "wasxfail")
    if report.outcome == "skipped":
        return "xfailed" if expected else "skipped"
    return "" if report.when != "call" else "xpassed" if expected else "passed"


def text(report: Any) -> str:
    """A failure's text, or the reason of a skip or an expected failure."""
    if report.outcome == "skipped" or hasattr(report, "wasxfail"):
        reason: Any = getattr(report, "wasxfail", None) or report.longrepr
        return str(reason if isinstance(reason, str) else reason[-1] if reason else "")
    return str(report.longreprtext)


def cut(words: str) -> str:
    """The head and the tail of a text that is too long."""
    if len(words) <= _TEXT:
        return words
    half = _TEXT // 2
    return f"{words[:half]}\n... {len(words) - 2 * half} characters left out ...\n{words[-half:]}"


def _load(variable: str) -> Any:
    """The content of the JSON file that an environment variable names; None without it."""
    path = os.environ.pop(variable, "")
    if not path:
        return None
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, args: list[str]) -> Iterator[None]:
    """Take the pipe and the token out of the environment, and start to report before the first conftest runs."""
    token, descriptor = os.environ.pop("FIXBOT_RUN_TOKEN", ""), os.environ.pop("FIXBOT_EVENTS_FD", "")
    timeout = float(os.environ.pop("FIXBOT_TEST_TIMEOUT", "0"))
    watch, select, django = _load("FIXBOT_WATCH"), _load("FIXBOT_SELECT"), os.environ.pop("FIXBOT_DJANGO", "")
    paths = [path for path in os.environ.pop("FIXBOT_PATHS", "").split(os.pathsep) if path]
    try:
        channel = _Channel(int(descriptor), token) if token and descriptor else None
    except (OSError, ValueError):
        channel = None
    if channel is not None:
        options: Any = importlib.import_module("fixbot_pytest_options")
        module: Any = importlib.import_module("fixbot_pytest_lines")
        os.environ.pop("PYTEST_ADDOPTS", None)
        sys.path[1:1] = paths
        channel.send("start", pytest=pytest.__version__, python=".".join(str(part) for part in sys.version_info[:3]))
        for note in options.adapt(args, early_config.known_args_namespace):
            channel.send("note", text=note)
        lines = None if watch is None else module.Lines({path: frozenset(numbers) for path, numbers in watch.items()})
        wanted = None if select is None else set(select)
        early_config.pluginmanager.register(_Reporter(channel, _Watchdog(timeout), lines, wanted), "fixbot-reporter")
        if wanted is not None:
            options.narrow(early_config, wanted)
        for note in options.start_django(early_config.pluginmanager, django) if django else ():
            channel.send("note", text=note)
    yield


if __name__ == "__main__":
    sys.exit(pytest.main())

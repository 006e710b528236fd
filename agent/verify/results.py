"""What a run of a test suite tells: the data, and the reading of the events that the pytest plugin sends.

The events come from the target's process and are checked here: only lines with the run's token count, of the expected types. When an id
has several outcomes the worst one counts, so that a forged "passed" does not hide the failure that pytest reports.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_args

if TYPE_CHECKING:
    from fixbot.agent.sandbox.base import Outcome

TestOutcome = Literal["passed", "xpassed", "xfailed", "skipped", "error", "failed"]
GOOD: frozenset[TestOutcome] = frozenset({"passed", "xpassed", "xfailed"})
"""Outcomes that are no complaint: the test did what it is expected to do."""
_SEVERITY = {outcome: rank for rank, outcome in enumerate(get_args(TestOutcome))}
_DETAIL = 20_000  # characters kept of one test's text

Lines = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test's outcome; ``error`` is a failed set-up or tear-down.

    ``detail`` is the failure's text or the reason of a skip; ``lines`` are the watched lines that ran from its set-up to its tear-down
    (fixtures of a wider scope count for the test that started them), by path relative to the repository.
    """

    __test__: ClassVar[bool] = False

    id: str
    outcome: TestOutcome
    seconds: float
    detail: str = ""
    lines: Lines = field(default_factory=dict[str, tuple[int, ...]])


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """One run of a suite. Only a ``complete`` one may decide anything.

    ``complete`` means that pytest reported its end, that at least one test was collected and that each one has an outcome; otherwise
    ``problem`` says what is wrong. ``import_lines`` are watched lines that ran while no test did. ``line_evidence`` tells whether
    missing lines mean "did not run". ``seconds`` is wall time; ``limit`` the limit that ended the run.
    """

    tests: Mapping[str, TestResult]
    collected: tuple[str, ...]
    collection_errors: Mapping[str, str]
    import_lines: Lines
    complete: bool
    problem: str
    exit_code: int | None
    seconds: float
    output: str
    limit: str | None
    line_evidence: bool
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dict for ``json.dumps``; lone surrogates in node ids need its default ``ensure_ascii``."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        tests = [
            {"id": test.id, "outcome": test.outcome, "seconds": test.seconds, "detail": test.detail, "lines": _lists(test.lines)}
            for test in self.tests.values()
        ]
        return plain | {
            "tests": tests,
            "collected": list(self.collected),
            "collection_errors": dict(self.collection_errors),
            "import_lines": _lists(self.import_lines),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> SuiteResult:
        """The result that ``to_json`` wrote. Raises KeyError, TypeError or ValueError when it is not one."""
        tests = (replace(TestResult(**test), lines=_tuples(test["lines"])) for test in plain["tests"])
        changed: dict[str, Any] = {
            "tests": {test.id: test for test in tests},
            "collected": tuple(plain["collected"]),
            "import_lines": _tuples(plain["import_lines"]),
            "notes": tuple(plain["notes"]),
        }
        return cls(**{**plain, **changed})


@dataclass(slots=True)
class Events:
    """Collects the events of one run. ``paths`` maps a watched file's path inside the sandbox to its path in the repository."""

    token: str
    watch: Mapping[str, tuple[str, frozenset[int]]]
    on_progress: Callable[[int, int], None] | None = None
    tests: dict[str, TestResult] = field(default_factory=dict[str, TestResult])
    collected: dict[str, None] = field(default_factory=dict[str, None])
    errors: dict[str, str] = field(default_factory=dict[str, str])
    import_lines: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    notes: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])
    running: str = ""
    started: int = 0
    ended: int = 0
    sent: int = 0
    received: int = 0
    lines_lost: bool = False

    def add(self, line: bytes) -> None:
        """Take in one line from the event pipe; a line that is no event of this run is ignored."""
        try:
            event = json.loads(line)
            if not isinstance(event, dict) or cast("dict[str, Any]", event).get("run") != self.token:
                return
            self._take(cast("dict[str, Any]", event))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return
        if self.on_progress is not None and cast("dict[str, Any]", event)["event"] == "outcome":
            self.on_progress(len(self.tests), len(self.collected))

    def _take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "start":
                self.started += 1
            case "collected":
                self.collected.update(dict.fromkeys(str(name) for name in event["ids"]))
            case "collection error":
                self.errors.setdefault(str(event["id"]), str(event["detail"])[:_DETAIL])
            case "begin":
                self.running = str(event["id"])
            case "outcome":
                self._outcome(event)
            case "import":
                for path, numbers in self._lines(event["lines"]).items():
                    self.import_lines.setdefault(path, set()).update(numbers)
            case "lines":
                self.lines_lost = True
                self.notes.append(str(event["problem"])[:_DETAIL])
            case "note":
                self.notes.append(str(event["text"])[:_DETAIL])
            case "problem":
                self.problems.append(str(event["text"])[:_DETAIL])
            case "end":
                self.ended, self.sent = self.ended + 1, self.sent + int(event["outcomes"])
            case _:
                return

    def _outcome(self, event: dict[str, Any]) -> None:
        new = TestResult(
            str(event["id"]), event["outcome"], float(event["seconds"]), str(event["detail"])[:_DETAIL], self._lines(event["lines"])
        )
        rank = _SEVERITY[new.outcome]
        self.running, self.received = "", self.received + 1
        old = self.tests.get(new.id)
        if old is None or rank > _SEVERITY[old.outcome]:
            self.tests[new.id] = new

    def _lines(self, found: dict[str, list[int]]) -> dict[str, tuple[int, ...]]:
        known = ((self.watch[path], numbers) for path, numbers in found.items() if path in self.watch)
        return {path: tuple(sorted(lines.intersection(numbers))) for (path, lines), numbers in known}


def problem(events: Events, outcome: Outcome, seconds: float) -> str:
    """Why a run's result is not whole, or "" when it is. ``seconds`` is the wall limit that the run had."""
    missing = [name for name in events.collected if name not in events.tests]
    if events.ended and events.ended == events.started and events.collected and not missing:
        lost = events.sent - events.received
        return f"{lost} outcomes that pytest reported did not arrive" if lost > 0 else ""
    if outcome.limit is not None:
        where = f", at {events.running}" if events.running else ""
        return f"limit: time ({seconds:g} s){where}" if outcome.limit == "time" else f"limit: {outcome.limit}{where}"
    if not events.started and re.search(r"No module named '?pytest\b", outcome.output):
        return "pytest is not installed"
    if events.problems:
        return events.problems[0]
    if not events.ended or events.ended != events.started:
        return _usage(outcome.output) if outcome.exit_code == 4 else _early(events, outcome)
    if not events.collected:
        count = len(events.errors)
        return "no tests collected" + (f" ({count} collection error{'s' * (count > 1)})" if count else "")
    return f"{len(missing)} of {len(events.collected)} collected tests have no outcome, the first is {missing[0]}"


def _usage(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    first = next((index for index, line in enumerate(lines) if re.match(r"ERROR|.*: error:|ImportError while|\w+Error", line)), -3)
    return "usage error: " + " ".join(lines[first:])[:1000].removeprefix("ERROR:").strip()


def _early(events: Events, outcome: Outcome) -> str:
    code = outcome.exit_code
    how = "" if code is None else f" by signal {-code}" if code < 0 else f" with exit code {code}"
    if not events.started:
        last = outcome.output.strip().rpartition("\n")[2][:500]
        return f"the test process ended{how} before pytest started" + (f": {last}" if last else "")
    where = f"at {events.running}" if events.running else "between tests" if events.collected else "during collection"
    return f"the test process ended {where}{how} before its report was complete"


def _lists(lines: Lines) -> dict[str, list[int]]:
    return {path: list(numbers) for path, numbers in lines.items()}


def _tuples(lines: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {path: tuple(numbers) for path, numbers in lines.items()}

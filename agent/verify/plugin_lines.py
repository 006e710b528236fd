"""Which watched lines run, seen from inside the target's interpreter. Copied beside the pytest plugin; standard library only.

Python 3.12 and later use ``sys.monitoring`` (line events for the watched code only, so the rest of the program runs at full speed);
older versions use ``sys.settrace``, which another tracer (coverage, a debugger) may hold already: then there is no evidence, and
``Lines.problem`` says why. Works on Python 3.8 and later.
"""

from __future__ import annotations

import dis
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

_TOOLS = (4, 3)  # identifiers that PEP 669 leaves to anybody
_HELD = "line evidence: another tracer is active"


class Lines:
    """The watched lines that ran since the last ``take``; ``problem`` is "" while the evidence is whole."""

    def __init__(self, watched: dict[str, frozenset[int]]) -> None:
        """Start to watch these lines, by absolute path."""
        self.problem = ""
        self._start = os.getcwd()
        self._watched = {os.path.realpath(path): (path, lines) for path, lines in watched.items()}
        self._bases = {os.path.basename(path) for path in self._watched}
        self._known: dict[str, tuple[str, frozenset[int]] | None] = {}
        self._hits: set[tuple[str, int]] = set()
        self._realpath = os.path.realpath  # tests replace functions of os; these are the real ones
        self._join = os.path.join
        self._trace: Any = None
        self._gettrace, self._settrace = sys.gettrace, sys.settrace
        if sys.version_info >= (3, 12):
            self._monitor()
        elif self._gettrace() is None:
            self._trace = self._tracer()
            threading.settrace(self._trace)
            self._settrace(self._trace)
        else:
            self.problem = _HELD

    def take(self) -> dict[str, list[int]]:
        """The hits by file since the last call; puts a tracer that the program removed back in place."""
        hits, self._hits = self._hits, set()
        found: dict[str, list[int]] = {}
        for path, line in sorted(hits):
            found.setdefault(path, []).append(line)
        if self._trace is not None:
            active = self._gettrace()
            if active is None:
                self._settrace(self._trace)
            elif active is not self._trace:
                self.problem = _HELD
        return found

    def _find(self, name: str) -> tuple[str, frozenset[int]] | None:
        """The watched file, as it was given, whose code has the file name ``name``, and its lines."""
        try:
            return self._known[name]
        except KeyError:
            found = None
        if name.rpartition("/")[2] in self._bases:
            try:
                found = self._watched.get(self._realpath(self._join(self._start, name)))
            except (OSError, ValueError):
                found = None
        elif name.endswith(".py") and name[:1] != "<":
            found = self._linked(name)
        self._known[name] = found
        return found

    def _linked(self, name: str) -> tuple[str, frozenset[int]] | None:
        """The watched file behind a symbolic link with another name."""
        try:
            return self._watched.get(self._realpath(self._join(self._start, name))) if os.path.islink(name) else None
        except (OSError, ValueError):
            return None

    def _tracer(self) -> Any:
        find = self._find

        def line(frame: FrameType, event: str, _arg: Any) -> Any:
            if event == "line":
                found = find(frame.f_code.co_filename)
                if found is not None and frame.f_lineno in found[1]:
                    self._hits.add((found[0], frame.f_lineno))
            return line

        def call(frame: FrameType, _event: str, _arg: Any) -> Any:
            return line if find(frame.f_code.co_filename) is not None else None

        return call

    def _monitor(self) -> None:
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            tool = next((number for number in _TOOLS if monitoring.get_tool(number) is None), None)
            if tool is None:
                self.problem = _HELD
                return
            disable, set_local_events, line_event = monitoring.DISABLE, monitoring.set_local_events, monitoring.events.LINE

            def start(code: CodeType, _offset: int) -> Any:
                found = self._find(code.co_filename)
                if found is not None and any(line in found[1] for _, line in dis.findlinestarts(code)):
                    set_local_events(tool, code, line_event)
                return disable

            def line(code: CodeType, number: int) -> Any:
                found = self._find(code.co_filename)
                if found is None or number not in found[1]:
                    return disable
                self._hits.add((found[0], number))
                return None

            monitoring.use_tool_id(tool, "fixbot")
            monitoring.register_callback(tool, monitoring.events.PY_START, start)
            monitoring.register_callback(tool, line_event, line)
            monitoring.set_events(tool, monitoring.events.PY_START)

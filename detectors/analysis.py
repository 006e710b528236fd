"""What the rules and their collectors say about one file: hints on its words, one walk, JSON as the answer."""

from __future__ import annotations

import ast
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

from fixbot.detectors.finding import Finding, Span
from fixbot.detectors.hints import Hints
from fixbot.detectors.registry import Check, Collector, Report, Rule, hints_of
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.suppressions import suppressions

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_BATCH = 64  # files of which the words are looked at together
_T = TypeVar("_T")


class Analysis:
    """Some rules, made ready to be asked about one file after the other."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        checks = [(one, check) for one in rules for check in one.checks if not check.project]
        self._checks = _ByHint((entry, entry[1].hints) for entry in checks)
        self._collectors = _ByHint(((name_of(collector), collector), hints_of(collector)) for collector in collectors_of(rules))
        self._hints = Hints(hint for asked in (self._checks, self._collectors) for hint in asked.hints)

    def of_all(self, sources: Iterable[SourceFile]) -> Iterator[tuple[str, str]]:
        """Everything that is said about files: path, and the text of a JSON object with findings, collected, suppressions, or skipped."""
        rest = iter(sources)
        while batch := deque(islice(rest, _BATCH)):
            self._hints.learn(frozenset[bytes]().union(*(source.words for source in batch)))
            while batch:
                source = batch.popleft()
                yield source.path, self._of(source)
                del source  # its tree goes before the next one comes

    def _of(self, source: SourceFile) -> str:
        try:
            _ = source.tree  # every file is parsed: a syntax error is worth a word even where no rule looks
            present = self._hints.present(source.data, source.words)
            findings = [finding.to_json() for finding in self._findings(source, present)]
            collected = {name: value for name, collector in self._collectors.asked(present) if (value := collector(source))}
        except SkippedFile as reason:
            return _ENCODE({"skipped": str(reason)})
        except RecursionError:
            return _ENCODE({"skipped": "nested too deeply to analyse"})
        muting = [
            {"span": [one.span.line, one.span.column, one.span.end_line, one.span.end_column], "rules": one.rules, "lines": one.lines}
            for one in suppressions(source)
        ]
        parts: dict[str, Any] = {"findings": findings, "collected": collected, "suppressions": muting}
        return _ENCODE({name: part for name, part in parts.items() if part})

    def _findings(self, source: SourceFile, present: set[bytes]) -> Iterator[Finding]:
        handlers: defaultdict[type[ast.AST], list[tuple[Rule, Check]]] = defaultdict(list)
        for one, check in self._checks.asked(present):
            for kind in () if check.inside else check.nodes:
                handlers[kind].append((one, check))
            if check.inside:
                for node in source.nodes_with(check.hints, *check.nodes):
                    yield from (_finding(one, check, entry, source) for entry in check.function(node, source))
            for diagnostic in source.diagnostics if check.codes else ():
                if diagnostic.code in check.codes:
                    yield from (_finding(one, check, entry, source) for entry in check.function(diagnostic, source))
        for kind, entries in handlers.items():
            for node in source.nodes(kind):
                for one, check in entries:
                    yield from (_finding(one, check, entry, source) for entry in check.function(node, source))


class _ByHint(Generic[_T]):
    """Things that are asked about files which hold one of their hints; without any about every file."""

    def __init__(self, entries: Iterable[tuple[_T, Sequence[bytes]]]) -> None:
        self._entries = list(entries)
        self._hintless = [place for place, (_, hints) in enumerate(self._entries) if not hints]
        self._places: defaultdict[bytes, list[int]] = defaultdict(list)
        for place, (_, hints) in enumerate(self._entries):
            for hint in hints:
                self._places[hint].append(place)

    @property
    def hints(self) -> Iterable[bytes]:
        """All hints."""
        return self._places.keys()

    def asked(self, present: set[bytes]) -> Iterator[_T]:
        """Those that are asked about a file which holds some hints, in their order."""
        places = {place for hint in present for place in self._places.get(hint, ())}
        return (self._entries[place][0] for place in sorted(places.union(self._hintless)))


def collectors_of(rules: Sequence[Rule]) -> list[Collector]:
    """The collectors of some rules, each once."""
    return list(dict.fromkeys(collector for one in rules for check in one.checks for collector in check.collects))


def name_of(collector: Collector) -> str:
    """Where a collector is defined."""
    return f"{collector.__module__}.{collector.__qualname__}"


def _finding(one: Rule, check: Check, entry: Report, source: SourceFile) -> Finding:
    if isinstance(entry.span, Span):
        return build(one, check, entry, entry.span, "", "".join(source.segment(entry.span).split()), source.path)
    return build(one, check, entry, source.span(entry.span), source.scope(entry.span), _code(entry.span), source.path)


def build(one: Rule, check: Check, entry: Report, span: Span, scope: str, key: str, path: str) -> Finding:
    """The finding of a report; ``scope``, ``key`` and ``path`` where the report says none."""
    return Finding(
        rule=one.id,
        severity=entry.severity or check.severity,
        path=entry.path or path,
        span=span,
        message=entry.message,
        scope=scope if entry.scope is None else entry.scope,
        key=key if entry.key is None else entry.key,
        related=entry.related,
        fix=entry.fix or check.fix,
        facts=entry.facts,
    )


def _code(node: ast.AST) -> str:
    """The node's own code without the blocks that it holds, whatever its formatting."""
    blocks = {name for name in ("body", "orelse", "finalbody", "handlers", "cases") if isinstance(getattr(node, name, None), list)}
    if not blocks:
        return ast.dump(node)
    return type(node).__name__ + "".join(
        ast.dump(value) for name, value in ast.iter_fields(node) if name not in blocks and isinstance(value, ast.AST)
    )

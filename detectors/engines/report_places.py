"""From an entry of a bug report to places in the repository as it is now, or the reason why there are none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from fixbot.detectors.engines.report_code import Code, Match, code_of, find, find_errors, find_inside
from fixbot.detectors.engines.report_entries import Entry
from fixbot.detectors.engines.report_text import Place
from fixbot.detectors.project import Project, is_generated, is_test
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.walk import descendants

NEAR = 30
"""Lines between a stated line and quoted code that still belong together when the code stands in other places, too."""
MAX_SPOTS = 10
_OTHERS = re.compile(
    r"(?:^|/)(?:[\w.-]*requirements[\w.-]*\.(?:txt|in)|pyproject\.toml|setup\.cfg|\.env[\w.-]*|[\w.-]+\.(?:toml|cfg|ini|sql|ya?ml))$"
)
_NAME = re.compile(r"^(?:async\s+)?(?:def |class )?(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?P<call>\(.*\))?$")


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """Lines of a file of the project. ``by`` says what led there: ``line``, ``code`` or ``name``."""

    path: str
    line: int
    end_line: int
    by: str


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry with its places; without any, ``reason`` says why. ``missing`` are reasons for stated places that were not found."""

    entry: Entry
    spots: tuple[Spot, ...]
    reason: str = ""
    missing: tuple[str, ...] = ()


class NoSpotError(Exception):
    """A stated place that the project does not have; the text says why."""


class Placer:
    """Places entries in one project; files are read once, when they are needed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._skipped = {entry.path: entry.reason for entry in project.skipped}
        self._paths = sorted({*project.files, *project.others, *self._skipped})
        self.code = lru_cache(maxsize=None)(self._code)
        self.source = lru_cache(maxsize=64)(self._source)

    def place(self, entry: Entry) -> Placed:
        """Where an entry's bug is. Never raises for what a report says."""
        if entry.reason:
            return Placed(entry, (), entry.reason)
        spots: dict[Spot, None] = {}
        missing: list[str] = []
        near = ""
        for stated in entry.places:
            try:
                path = self.resolve(stated.path, near)
                near = path
                spots.update(dict.fromkeys(self._locate(path, stated, entry)))
            except NoSpotError as reason:
                missing.append(str(reason))
        if not spots:
            unknown = not entry.places or all("no such file" in reason for reason in missing)
            spots.update(dict.fromkeys(self._anywhere(entry) if unknown else ()))
        if spots:
            return Placed(entry, tuple(spots)[:MAX_SPOTS], "", tuple(missing))
        return Placed(entry, (), missing[0] if missing else self._why_nowhere(entry))

    # Paths

    def resolve(self, path: str, near: str = "") -> str:
        """The project's file that a stated path means: exactly, by its end, or without its first folders. Raises NoSpotError.

        Of several with one end the one in the folder of ``near`` counts, then the only one outside of the tests.
        """
        absolute = bool(re.match(r"^(?:[A-Za-z]:)?/|^~", path))
        parts = [part for part in re.sub(r"^(?:[A-Za-z]:|~)", "", path).split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            raise NoSpotError(f"{path}: leads out of the project")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            if start and len(parts) - start < 2 and not absolute:
                break
            found = self._ending(tail, near)
            if found:
                return self._usable(found)
        raise NoSpotError(f"{path}: no such file")

    def _ending(self, tail: str, near: str) -> str:
        same = [path for path in self._paths if path == tail or path.endswith(f"/{tail}")]
        if tail in same:
            return tail
        folder = near.rpartition("/")[0]
        choices = [[path for path in same if path.rpartition("/")[0] == folder] if near else [], same]
        choices.append([path for path in same if not is_test(path)])
        for some in choices:
            if len(some) == 1:
                return some[0]
        if same:
            raise NoSpotError(f"{tail}: fits {len(same)} files ({', '.join(same[:3])})")
        return ""

    def _usable(self, path: str) -> str:
        if path in self._skipped:
            raise NoSpotError(f"{path}: not scanned ({self._skipped[path]})")
        if not path.endswith((".py", ".pyw")) and not _OTHERS.search(path):
            raise NoSpotError(f"{path}: not Python")
        return path

    def _source(self, path: str) -> SourceFile:
        return self.project.source(path)

    def _code(self, path: str) -> Code:
        try:
            if is_generated(self.source(path).data):
                raise NoSpotError(f"{path}: not scanned (generated)")
            return code_of(self.source(path).lines)
        except (OSError, SkippedFile) as error:
            raise NoSpotError(f"{path}: cannot be read ({error})") from None

    # Places in a file

    def _locate(self, path: str, stated: Place, entry: Entry) -> Iterator[Spot]:
        code = self.code(path)
        if stated.line:
            yield self._at_line(path, code, stated, entry)
            return
        exact = [match for match in find(code, entry.problem) if match.share > 0.99] or find(code, entry.problem)
        for matches in (exact, find_errors(code, entry.text), find_inside(code, entry.quotes), find(code, entry.fix)):
            if 0 < len(matches) <= 5:
                yield from (_spot(path, match) for match in matches)
                return
        named = list(self._named(path, entry.quotes))
        if not named:
            raise NoSpotError(f"{path}: no line is given, and the file has nothing of what the entry quotes or names")
        yield named[0]

    def _at_line(self, path: str, code: Code, stated: Place, entry: Entry) -> Spot:
        """The quoted code nearest to the line, unless another stated line is nearer to it; the line itself where there is none.

        Inline code says nothing when there are several places: it may belong to any of them.
        """
        rivals = [place for place in entry.places if place != stated and place.line and place.path == stated.path]
        inside = find_inside(code, entry.quotes) if len(entry.places) == 1 else []
        for matches in (find(code, entry.problem), find_errors(code, entry.text), inside, find(code, entry.fix)):
            near = [match for match in matches if _gap(match, stated) <= min([NEAR, *(_gap(match, rival) for rival in rivals)])]
            if near:
                return _spot(path, min(near, key=lambda match: (_gap(match, stated), -match.score)))
            if not rivals and len(matches) == 1 and matches[0].score >= 20 and matches[0].share > 0.99:
                return _spot(path, matches[0])
        if stated.line <= len(code.lines):
            return Spot(path, stated.line, min(stated.end_line, len(code.lines)), "line")
        named = list(self._named(path, entry.quotes))
        if not named:
            raise NoSpotError(f"{path}: has no line {stated.line}, and the quoted code is not in it")
        return named[0]

    def _named(self, path: str, quotes: Sequence[str]) -> Iterator[Spot]:
        """Functions and classes of a file that inline code names, in the order of the quotes."""
        if not path.endswith((".py", ".pyw")):
            return
        try:
            tree = self.source(path).tree
        except (OSError, SkippedFile):
            return
        nodes = [node for node in descendants(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
        for name in _names(quotes):
            same = [node for node in nodes if node.name == name]
            if len(same) == 1:
                node = same[0]
                yield Spot(path, node.lineno, node.lineno if isinstance(node, ast.ClassDef) else node.end_lineno or node.lineno, "name")

    # The whole project

    def _anywhere(self, entry: Entry) -> Iterator[Spot]:
        """The quoted code in all files: its only place, or all where the entry speaks of many; then what raises its error; then a name."""
        found = [(path, match) for path in self.project.files for match in self._matches(path, entry) if match.score >= 20]
        best = max((match.score for _, match in found), default=0)
        found = [(path, match) for path, match in found if entry.many or match.score == best]
        found = [(path, match) for path, match in found if not is_test(path)] or found
        if len(found) == 1 or (entry.many and len(found) <= MAX_SPOTS):
            yield from (_spot(path, match) for path, match in found)
        if entry.many:
            raising = [(path, match) for path in self.project.files if not is_test(path) for match in self._raising(path, entry)]
            yield from (_spot(path, match) for path, match in raising[:MAX_SPOTS])
            found += raising
        if not found and not entry.places:
            named = [spot for path in self.project.files if not is_test(path) for spot in self._named_in_text(path, entry)]
            if len(named) == 1:
                yield named[0]

    def _matches(self, path: str, entry: Entry) -> list[Match]:
        if not entry.problem:
            return []
        try:
            return [match for match in find(self.code(path), entry.problem) if match.share >= (0.5 if entry.many else 0.8)]
        except NoSpotError:
            return []

    def _raising(self, path: str, entry: Entry) -> list[Match]:
        try:
            return find_errors(self.code(path), entry.text)
        except NoSpotError:
            return []

    def _named_in_text(self, path: str, entry: Entry) -> Iterator[Spot]:
        try:
            lines = self.code(path).text
        except NoSpotError:
            return
        if any(line.startswith((f"def{name}(", f"asyncdef{name}(")) for name in _names(entry.quotes, sure=True) for line in lines):
            yield from self._named(path, entry.quotes)

    def _why_nowhere(self, entry: Entry) -> str:
        if entry.problem or entry.fix:
            return "it names no file, and its quoted code stands nowhere in the project or in several places"
        return "it names several files but none of them" if entry.many else "it names no file and quotes no code"


def _names(quotes: Sequence[str], *, sure: bool = False) -> Iterator[str]:
    """The names in inline code; ``sure`` leaves out plain words, which may mean anything."""
    for quote in quotes:
        match = _NAME.match(quote.strip())
        if match and not match["name"].endswith((".py", ".md", ".txt")):
            name = match["name"].rpartition(".")[2]
            if len(name) >= 3 and (not sure or match["call"] or "_" in name.strip("_")):
                yield name


def _gap(match: Match, place: Place) -> int:
    return match.distance(place.line, place.end_line)


def _spot(path: str, match: Match) -> Spot:
    return Spot(path, match.line, match.end_line, "code")

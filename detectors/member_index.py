"""The classes of a project and their members: the index over what ``members.members`` collected."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from fixbot.detectors.members import KNOWN, members
from fixbot.detectors.project import Project, folders_above, join


def _last(entry: Mapping[str, Any], name: str) -> str:
    """The name that a class has where it is defined, for the name that a file knows it by."""
    return entry.get("imports", {}).get(name, name).rpartition(".")[2]


class Members:
    """The classes of the project and their members."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.facts: Mapping[str, Mapping[str, Any]] = project.collected(members)
        self._files = frozenset(project.files)
        self._stores: dict[str, frozenset[str]] = {}
        self._members: dict[tuple[str, str], frozenset[str] | None] = {}
        self._extra: defaultdict[str, set[str]] = defaultdict(set)
        self._changed: set[str] = set()
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for path, entry in self.facts.items():
            for name, attribute in entry.get("set", ()):
                self._extra[_last(entry, name)].add(attribute)
            self._changed.update(_last(entry, name) for name in entry.get("changed", ()))
            for name in entry.get("classes", ()):
                self._by_name[name].append(path)

    def suspects(self) -> Iterator[tuple[str, frozenset[str]]]:
        """The files whose text holds ``Name.x`` where the class of that name has no ``x``, each with its ``x``: worth a closer look."""
        for path, entry in self.facts.items():
            attributes = {
                attribute
                for name, attribute, origin in entry.get("pairs", ())
                if self._may_lack(_last(entry, name), attribute) and (not origin or self._is_without(path, origin, attribute))
            }
            if attributes:
                yield path, frozenset(attributes)

    def _is_without(self, path: str, origin: str, attribute: str) -> bool:
        """Whether a class of the project is known in full and has no such member."""
        found = self.find(path, origin)
        known = self.members(*found) if found else None
        return known is not None and attribute not in known

    def _may_lack(self, name: str, attribute: str) -> bool:
        for file in self._by_name.get(name, ()):
            known = self.members(file, name)
            if known is not None and attribute not in known and not attribute[0] == attribute[-1] == "_":
                return True
        return False

    def lacks(self, path: str, origin: str, name: str) -> bool:
        """Whether a class is of the project, known in full, and has no such member."""
        found = self.find(path, origin)
        return found is not None and self._is_without(path, origin, name)

    def gets(self, path: str, origin: str, name: str) -> bool:
        """Whether a file of a class that ``lacks`` a member sets one of that name on anything."""
        found = self.find(path, origin)
        files = self._files_of(*found) if found else ()
        return any(name in stored or "*" in stored for stored in map(self._stored, files))

    def _files_of(self, file: str, name: str) -> set[str]:
        """The files of a class and of its bases."""
        homes = [self.find(file, base) for base in self.facts[file]["classes"][name]["bases"] if base not in KNOWN]
        return {file}.union(*(self._files_of(*home) for home in homes if home))

    def _stored(self, file: str) -> frozenset[str]:
        """The attributes that are set on anything in a file; ``*`` where names may be made up."""
        if file not in self._stores:
            source = self.project.source(file)
            made = any(mark in source.data for mark in (b"locals()[", b"vars()[", b"exec(", b".__dict__"))
            stored = (node.attr for node in source.nodes(ast.Attribute) if not isinstance(node.ctx, ast.Load))
            self._stores[file] = frozenset({*stored, *(("*",) if made else ())})
        return self._stores[file]

    def find(self, path: str, origin: str, depth: int = 5) -> tuple[str, str] | None:
        """The file and name of the class that an origin means as seen from a file."""
        if origin.startswith(":"):
            return (path, origin[1:]) if origin[1:] in self.facts.get(path, {}).get("classes", ()) else None
        level = len(origin) - len(origin.lstrip("."))
        module, _, name = origin[level:].rpartition(".")
        if not (module or level) or (not level and self._is_ambiguous(module, path)):
            return None
        file = self.project.resolve(module, path, level)
        entry = self.facts.get(file or "", {})
        if file is None or name in entry.get("classes", ()):
            return (file, name) if file else None
        further = entry.get("imports", {}).get(name)
        return self.find(file, further, depth - 1) if further and depth else None

    def _is_ambiguous(self, module: str, path: str) -> bool:
        """Whether several import roots have the module and none of them is a folder above the importing file."""
        stem = module.replace(".", "/")
        ends = (f"{stem}.py", f"{stem}/__init__.py")
        roots = [root for root in self.project.import_roots if any(join(root, end) in self._files for end in ends)]
        return len(roots) > 1 and not set(roots) & set(folders_above(path))

    def members(self, file: str, name: str) -> frozenset[str] | None:
        """The members of a class with those of its bases; None when not all can be known."""
        key = (file, name)
        if key not in self._members:
            self._members[key] = None  # a class that is its own base
            self._members[key] = self._collect(file, name)
        return self._members[key]

    def _collect(self, file: str, name: str) -> frozenset[str] | None:
        one = self.facts[file]["classes"][name]
        if one["open"] or name in self._changed:
            return None
        known = {*one["members"], *self._extra.get(name, ()), *KNOWN["object"], "register"}
        for base in one["bases"]:
            found = None if base in KNOWN else self.find(file, base)
            inherited = KNOWN.get(base) or (self.members(*found) if found else None)
            if inherited is None:
                return None
            known |= inherited
        return frozenset(known)

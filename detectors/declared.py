"""Which distributions are declared for a source file, and in which versions: the requirement files of its folder and those above it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from fixbot.detectors.knowledge import table
from fixbot.detectors.manifests import Format, Manifest, format_of, read_manifest
from fixbot.detectors.project import Project, folders_above, join
from fixbot.detectors.requirement_text import Declaration

_ANY = Version("99999")


@dataclass(frozen=True, slots=True)
class Declared:
    """What applies to a source file: requirement files, nearest folder first, and what they declare, files that they include too.

    ``nearest`` are those of the nearest folder that has any that say what the program needs to run; ``complete`` is false where one of
    the files cannot be read whole.
    """

    manifests: tuple[Manifest, ...]
    nearest: tuple[Manifest, ...]
    declarations: tuple[Declaration, ...]
    complete: bool

    @property
    def names(self) -> frozenset[str]:
        """The normalised names of the declared distributions."""
        return frozenset(one.name for one in self.declarations)

    @property
    def library(self) -> bool:
        """Whether the nearest files describe a package that others install."""
        return any(one.library for one in self.nearest)

    def brings(self, distribution: str) -> bool:
        """Whether a distribution is declared, or one that brings it: a companion, an extra of its name, or one named after it."""
        wanted = canonicalize_name(distribution)
        return wanted in self.names or any(wanted in _companions(one) or _named_after(one.name, wanted) for one in self.declarations)

    def specifier(self, distribution: str) -> SpecifierSet | None:
        """The versions of a declared distribution that may be installed; None when it is not declared or its versions cannot be read."""
        wanted = canonicalize_name(distribution)
        texts = [one.specifier for one in self.declarations if one.name == wanted]
        return _specifier(texts[0]) if texts else None

    @property
    def python(self) -> SpecifierSet:
        """The Python versions that the nearest file names; every version when none does."""
        found = (_specifier(one.python) for one in self.manifests if one.python)
        return next((one for one in found if one is not None), SpecifierSet())


def _named_after(name: str, wanted: str) -> bool:
    """``redis-om`` needs ``redis``; ``redis-stubs`` does not."""
    return name.startswith(f"{wanted}-") and not name.endswith("-stubs")


@lru_cache(maxsize=4096)
def _companions(one: Declaration) -> frozenset[str]:
    keys = [one.name, *(f"{one.name}[{extra}]" for extra in one.extras)]
    found: set[str] = set(one.extras)
    for pattern, names in table("distributions")["companions"].items():
        if pattern in keys or (pattern.endswith("*") and one.name.startswith(pattern[:-1])):
            found.update(canonicalize_name(name) for name in names)
    return frozenset(found)


def _specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def newest_allowed(specifier: SpecifierSet, known: Iterable[str]) -> Version | None:
    """The newest version that a specifier lets in, of those that it names, the ``known`` ones, and one above all; None when none fits."""
    return max((one for one in _candidates(specifier, known) if specifier.contains(one, prereleases=True)), default=None)


def oldest_allowed(specifier: SpecifierSet, known: Iterable[str]) -> Version | None:
    """The oldest version that a specifier names and lets in; None when it has no lower bound or none fits."""
    bounded = any(one.operator in (">=", "==", "~=", "===", ">") for one in specifier)
    fitting = [one for one in _candidates(specifier, known) if specifier.contains(one, prereleases=True)]
    return min(fitting, default=None) if bounded else None


def _candidates(specifier: SpecifierSet, known: Iterable[str]) -> Iterator[Version]:
    yield from map(Version, known)
    yield _ANY
    for one in specifier:
        if match := re.match(r"[\d.]*\d", one.version):
            yield Version(match[0])


@lru_cache(maxsize=2)
def manifests(project: Project) -> dict[str, Manifest]:
    """Every file of the project that declares distributions, by path; those that cannot be opened are left out."""
    found: dict[str, Manifest] = {}
    for path in (*project.others, *(path for path in project.files if path.rpartition("/")[2] == "setup.py")):
        kind = format_of(path)
        if kind is None:
            continue
        try:
            manifest = read_manifest(path, project.read(path), kind)
        except OSError:
            continue
        if manifest is not None:
            found[path] = manifest
    return {path: one for path, one in found.items() if not _overruled(one, found)}


def declares_anything(project: Project) -> bool:
    """Whether any file of the project declares distributions."""
    return bool(manifests(project))


def _overruled(one: Manifest, found: Mapping[str, Manifest]) -> bool:
    """Whether a pyproject.toml beside a setup.py says by itself what is needed: the setup.py then only builds."""
    project = found.get(join(one.path.rpartition("/")[0], "pyproject.toml")) if one.format is Format.SETUP_PY else None
    return project is not None and project.main and project.complete


@lru_cache(maxsize=2)
def _by_folder(project: Project) -> dict[str, list[Manifest]]:
    """Folder -> the files for the code below it. A folder without Python files (``requirements/``) counts as part of the one above."""
    found: dict[str, list[Manifest]] = {}
    for path, manifest in manifests(project).items():
        folder = next(folder for folder in folders_above(path) if not folder or folder in project.folders)
        found.setdefault(folder, []).append(manifest)
    return found


def declared_for(project: Project, path: str) -> Declared:
    """What is declared for a source file."""
    return _declared_for(project, path.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _declared_for(project: Project, folder: str) -> Declared:
    chain = [folder, *folders_above(folder)] if folder else [""]
    groups: list[list[Manifest]] = [_by_folder(project).get(one, []) for one in chain]
    own = [manifest for group in groups for manifest in group]
    nearest = next((group for group in groups if any(one.main for one in group)), list[Manifest]())
    declarations: list[Declaration] = []
    complete = True
    for manifest in own:
        for part in _with_includes(project, manifest, chain):
            complete = complete and part is not None and (part.complete or not part.main or part.format is Format.CONDA)
            declarations += part.declarations if part else ()
    return Declared(tuple(own), tuple(nearest), tuple(dict.fromkeys(declarations)), complete)


def _with_includes(project: Project, manifest: Manifest, chain: Sequence[str]) -> Iterator[Manifest | None]:
    """The file and those that it includes; None for one that is not there.

    A file of development needs that takes in the files of all services does not declare them for each of the services.
    """
    known = manifests(project)
    pending, seen = [manifest.path], set[str]()
    while pending:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        part = known.get(path)
        yield part
        for included in part.includes if part else ():
            folder = included.rpartition("/")[0]
            if manifest.main or folder not in project.folders or folder in chain:
                pending.append(included)

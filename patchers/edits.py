"""The gate: what a patch must satisfy before anything is written, whoever made it."""

from __future__ import annotations

import ast
import os
import re
import stat
import unicodedata
import warnings
from collections.abc import Collection
from pathlib import Path

from fixbot.detectors.project import MAX_FILE_SIZE, is_test
from fixbot.detectors.registry import all_rules
from fixbot.patchers.difference import unified
from fixbot.patchers.patch import ConflictError, Patch, apply_patches

MAX_CHANGED_LINES = 200
_CI = (".github/", ".gitlab/", ".circleci/", ".buildkite/", ".azure-pipelines/", ".ci/", ".woodpecker/")
_CI_FILES = {
    ".gitlab-ci.yml",
    ".travis.yml",
    "azure-pipelines.yml",
    "jenkinsfile",
    "appveyor.yml",
    ".pre-commit-config.yaml",
    "tox.ini",
    "noxfile.py",
}
_LOCKS = {"uv.lock", "poetry.lock", "pdm.lock", "pipfile.lock", "pylock.toml", "package-lock.json", "yarn.lock", "conda-lock.yml"}
_GIT = {".gitattributes", ".gitmodules", ".gitignore", ".gitconfig"}
_BUILD = {"setup.py", "sitecustomize.py", "usercustomize.py"}
_DEPENDENCIES = re.compile(r"(requirements|constraints)[\w.-]*\.(txt|in)$|^pyproject\.toml$|^setup\.cfg$|^pipfile$")
_MIGRATION = re.compile(r"(?:^|/)(?:migrations?|versions)/(?:.+/)?[^/]+\.sql$")


class GateError(Exception):
    """A patch was refused; the text says why, in the words that reports show."""


def check_patch(
    patch: Patch, root: Path, tracked: Collection[str], *, max_lines: int = MAX_CHANGED_LINES, dependencies: bool = False
) -> dict[str, bytes]:
    """The changed files' new bytes, when the patch may be applied to the tree at ``root``. Raises GateError.

    ``tracked`` are the files that git knows; ``dependencies`` allows edits of requirement files. Nothing is written.
    """
    if not patch.edits:
        raise GateError("the patch changes nothing")
    for path in patch.paths:
        check_path(path, root, tracked, dependencies=dependencies)
    if set(patch.paths) - set(patch.bases):
        raise GateError("the patch does not say what file it was made for")
    base = {path: (root / path).read_bytes() for path in patch.bases}
    try:
        changed = apply_patches([patch], base)
    except ConflictError as error:
        raise GateError(str(error)) from None
    for path, new in changed.items():
        _check_content(path, base[path], new)
    lines = sum(changed_lines(path, base[path], new) for path, new in changed.items())
    if lines > max_lines:
        raise GateError(f"the patch changes {lines} lines, more than {max_lines}")
    return changed


def changed_lines(path: str, old: bytes, new: bytes) -> int:
    """How many lines a diff adds and removes."""
    return sum(row.startswith(("+", "-")) for row in unified(path, old, new, 0).splitlines()[2:])


def check_path(path: str, root: Path, tracked: Collection[str], *, dependencies: bool = False) -> None:
    """Refuse every path but that of a tracked, regular, unprotected file inside ``root``. Raises GateError."""
    shown = ascii(path[:200])
    if (
        not path
        or len(path.encode("utf-8", "surrogatepass")) > 4096
        or any(unicodedata.category(sign) in ("Cc", "Cf", "Cs") for sign in path)
    ):
        raise GateError(f"refused path {shown}: empty, too long or with control characters")
    parts = path.split("/")
    if "\\" in path or path.startswith("/") or any(part in ("", ".", "..") or len(part.encode()) > 255 for part in parts):
        raise GateError(f"refused path {shown}: not a plain relative path")
    folded = [unicodedata.normalize("NFKC", part).casefold().rstrip(". ") for part in parts]
    if any(part == ".git" or part.startswith("git~") for part in folded):
        raise GateError(f"refused path {shown}: inside .git")
    reason = protected(path, dependencies=dependencies)
    if reason:
        raise GateError(f"refused path {shown}: {reason}")
    if path not in tracked:
        raise GateError(f"refused path {shown}: not a file that git tracks")
    _check_file(root, path, shown)


def edits_dependencies(rule: str, path: str) -> bool:
    """Whether the fix of a rule's finding in a file may change requirement files. Raises KeyError for an unknown rule.

    That is the case for rules about dependencies, and for a reported bug that is in such a file.
    """
    known = all_rules()[rule]
    return known.group == "dependencies" or bool(known.external and _DEPENDENCIES.search(path.casefold().rpartition("/")[2]))


def protected(path: str, *, dependencies: bool = False) -> str:
    """Why a fix may not touch a file: ``""`` when it may."""
    lowered = path.casefold()
    name = lowered.rpartition("/")[2]
    if lowered.startswith(_CI) or name in _CI_FILES:
        return "continuous integration"
    if name in _LOCKS:
        return "lock file"
    if name in _GIT:
        return "git settings"
    if is_test(path):
        return "test code"
    if name in _BUILD:
        return "build or start-up script"
    if _MIGRATION.search(lowered):
        return "database migration, which has been applied somewhere"
    if not dependencies and _DEPENDENCIES.search(name):
        return "dependency file"
    return ""


def _check_file(root: Path, path: str, shown: str) -> None:
    full = root / path
    try:
        status = os.lstat(full)
    except OSError as error:
        raise GateError(f"refused path {shown}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        raise GateError(f"refused path {shown}: not a regular file of its own")
    inside = os.path.realpath(root)
    if os.path.realpath(full) != os.path.join(inside, path):
        raise GateError(f"refused path {shown}: reached through a symbolic link")
    if status.st_size > MAX_FILE_SIZE:
        raise GateError(f"refused path {shown}: larger than 1 MiB")


def _check_content(path: str, old: bytes, new: bytes) -> None:
    if new == old:
        raise GateError(f"{path}: the patch changes nothing")
    if len(new) > MAX_FILE_SIZE:
        raise GateError(f"{path}: larger than 1 MiB after the patch")
    if path.endswith((".py", ".pyw")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(new)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise GateError(f"{path}: does not parse after the patch: {error}") from None

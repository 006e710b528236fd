"""What a rule is, and how rules are found: a module in ``detectors/rules/<group>/`` is a rule, its name is the rule's id.

Plug-ins register a rule module under the entry point group ``fixbot.rules``.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from fixbot.detectors.finding import MODEL, Fix, Json, Related, Severity, Span
from fixbot.detectors.source import Located

ENTRY_POINTS = "fixbot.rules"
_ATTRIBUTE = "__fixbot_check__"
_HINTS = "__fixbot_hints__"


@dataclass(frozen=True, slots=True)
class Ruff:
    """Makes a check run on the diagnostics of these ruff codes instead of on syntax nodes."""

    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check yields. ``path`` only in project checks; ``fix`` only where it differs from the rule's own."""

    span: Span | Located
    message: str
    key: str | None = None
    path: str = ""
    scope: str | None = None
    related: tuple[Related, ...] = ()
    fix: Fix | None = None
    severity: Severity | None = None
    facts: Json = field(default_factory=dict[str, Any])


def report(
    span: Span | Located,
    message: str,
    *,
    key: str | None = None,
    path: str = "",
    scope: str | None = None,
    related: Sequence[Related] = (),
    fix: Fix | None = None,
    severity: Severity | None = None,
    **facts: Any,
) -> Report:
    """A finding at a node or span.

    ``key`` identifies it inside its scope (default: the node's code); ``facts`` are JSON values for the codemod.
    """
    return Report(span, message, key, path, scope, tuple(related), fix, severity, facts)


Collector = Callable[[Any], Any]  # SourceFile -> JSON value, cached with the file
_COLLECTOR = TypeVar("_COLLECTOR", bound=Collector)


def collector(hint: bytes | tuple[bytes, ...]) -> Callable[[_COLLECTOR], _COLLECTOR]:
    """Make a function a collector that is called only for files that hold one of the ``hint`` bytes; others give nothing."""

    def decorate(function: _COLLECTOR) -> _COLLECTOR:
        setattr(function, _HINTS, (hint,) if isinstance(hint, bytes) else hint)
        return function

    return decorate


def hints_of(function: Collector) -> tuple[bytes, ...]:
    """The hints of a collector; none where it is called for every file."""
    return getattr(function, _HINTS, ())


@dataclass(frozen=True, slots=True)
class Check:
    """One decorated function of a rule: ``nodes`` or ``codes`` say what it runs on, or ``collects`` what it needs to know of every file."""

    function: Callable[..., Iterable[Report]]
    severity: Severity
    fix: Fix
    hints: tuple[bytes, ...] = ()
    inside: bool = False
    nodes: tuple[type[ast.AST], ...] = ()
    codes: tuple[str, ...] = ()
    collects: tuple[Collector, ...] = ()
    when: Callable[[Any], bool] | None = None
    allows: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Where the function is defined."""
        return f"{self.function.__module__}.{self.function.__qualname__}"

    @property
    def project(self) -> bool:
        """Whether it runs once on the whole project."""
        return bool(self.collects)


@dataclass(frozen=True, slots=True)
class External:
    """Makes a module an external rule, as in ``RULE = External(Severity.HIGH)``: an engine brings its findings, the scan runs no check."""

    severity: Severity
    fix: Fix = MODEL
    allows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with everything that is known about it. ``module`` is importable; ``page`` is its Markdown file.

    A rule has ``checks`` or is ``external``.
    """

    id: str
    group: str
    summary: str
    module: str
    page: Path
    checks: tuple[Check, ...]
    external: External | None = None

    @property
    def severity(self) -> Severity:
        """The worst that the rule reports by default."""
        if self.external:
            return self.external.severity
        return min((check.severity for check in self.checks), key=lambda severity: severity.rank)

    @property
    def fix(self) -> Fix:
        """What fixes the rule's findings unless a finding says otherwise."""
        return self.external.fix if self.external else self.checks[0].fix

    @property
    def allows(self) -> frozenset[str]:
        """What a model's fix of this rule may newly do, in the words of the gate: "file deletion", "network access", ..."""
        return frozenset(self.external.allows if self.external else (word for check in self.checks for word in check.allows))


def rule(
    on: type[ast.AST] | tuple[type[ast.AST], ...] | Ruff | None = None,
    *,
    severity: Severity,
    fix: Fix = MODEL,
    hint: bytes | tuple[bytes, ...] = (),
    inside: bool = False,
    collects: Collector | tuple[Collector, ...] = (),
    when: Callable[[Any], bool] | None = None,
    allows: tuple[str, ...] = (),
) -> Callable[[Callable[..., Iterable[Report]]], Callable[..., Iterable[Report]]]:
    """Make a generator function a check of the rule that its module is.

    ``on`` decides what the function is called with:

    - syntax node classes: ``check(node, source)`` for each such node of a file that holds one of the ``hint`` bytes; with ``inside``
      only for the nodes on whose lines one of them stands, which are found without a look at the rest of the file;
    - ``Ruff(("F821",))``: ``check(diagnostic, source)`` for each diagnostic with one of the codes;
    - with ``collects``: ``check(project)`` once, after every file went through the collectors. A collector takes a SourceFile
      and returns a JSON value that is cached with the file; ``project.collected(collector)`` gives ``{path: value}``. With
      ``Ruff(...)`` too, the collector finds the file's diagnostics in ``source.diagnostics``. ``when(project)`` may say, before any
      file is read, that the check has nothing to say about a project. A collector decorated with ``@collector(hint=...)`` is called
      only for files that hold one of the hints.

    ``allows`` names what a model's fix may newly do (``patchers/model/gate.py``).
    """
    collectors = (collects,) if callable(collects) else collects

    def decorate(function: Callable[..., Iterable[Report]]) -> Callable[..., Iterable[Report]]:
        check = Check(
            function=function,
            severity=severity,
            fix=fix,
            hints=(hint,) if isinstance(hint, bytes) else hint,
            inside=inside,
            nodes=() if on is None or isinstance(on, Ruff) else on if isinstance(on, tuple) else (on,),
            codes=on.codes if isinstance(on, Ruff) else (),
            collects=collectors,
            when=when,
            allows=allows,
        )
        setattr(function, _ATTRIBUTE, check)
        return function

    return decorate


@cache
def all_rules() -> Mapping[str, Rule]:
    """Every built-in and plug-in rule by id, in the order of the ids. Raises ValueError when two modules claim one id."""
    found: dict[str, Rule] = {}
    for module in _modules():
        one = _read(module)
        if one.id in found:
            raise ValueError(f"two rules are named {one.id}: {found[one.id].module} and {one.module}")
        found[one.id] = one
    return dict(sorted(found.items()))


def _modules() -> Iterator[ModuleType]:
    package = importlib.import_module("fixbot.detectors.rules")
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.ispkg:
            yield importlib.import_module(info.name)
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        yield cast(ModuleType, entry.load())


def _read(module: ModuleType) -> Rule:
    checks = tuple(getattr(value, _ATTRIBUTE) for value in vars(module).values() if hasattr(value, _ATTRIBUTE))
    external = next((value for value in vars(module).values() if isinstance(value, External)), None)
    if bool(checks) is bool(external):
        raise ValueError(f"{module.__name__} must hold either functions decorated with @rule or one External")
    parts = module.__name__.split(".")
    return Rule(
        id=parts[-1].replace("_", "-"),
        group=parts[-2].replace("_", "-"),
        summary=(module.__doc__ or "").strip().partition("\n")[0].rstrip("."),
        module=module.__name__,
        page=Path(module.__file__ or "").with_suffix(".md"),
        checks=checks,
        external=external,
    )


def is_selected(rule: str, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> bool:
    """Whether a rule is among those to run; for engines that bring an external rule's findings. Raises as ``select_rules``."""
    return any(one.id == rule for one in select_rules(select, ignore))


def select_rules(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> tuple[Rule, ...]:
    """The rules to run. Entries are rule ids or groups; an empty ``select`` means all. Raises KeyError naming an unknown entry."""
    rules = all_rules()
    known = set(rules) | {one.group for one in rules.values()} | {"all", "unused-suppression"}
    for entry in (*select, *ignore):
        if entry.replace("_", "-") not in known:
            raise KeyError(entry)
    wanted = {entry.replace("_", "-") for entry in select} or {"all"}
    unwanted = {entry.replace("_", "-") for entry in ignore}
    return tuple(one for one in rules.values() if ({"all", one.id, one.group} & wanted) and not ({"all", one.id, one.group} & unwanted))


@cache
def rules_version() -> str:
    """A hash of every module that decides what a file's findings are; part of the cache key."""
    from hashlib import blake2b

    digest = blake2b(digest_size=12)
    digest.update(sys.version.encode())
    root = Path(__file__).parent
    modules = {Path(sys.modules[one.module].__file__ or "") for one in all_rules().values()}
    for path in sorted({*root.rglob("*.py"), *root.rglob("*.toml"), *modules}):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    digest.update(_ruff().encode())
    return digest.hexdigest()


def _ruff() -> str:
    """What changes with ruff's version. The list of its files is read faster than the metadata, which is an e-mail message."""
    return importlib.metadata.distribution("ruff").read_text("RECORD") or importlib.metadata.version("ruff")

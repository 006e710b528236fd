"""Run a target's test suite once, in a sandbox, with one outcome for each test.

Outcomes come from a pytest plugin (``plugin.py``) over a pipe, not from the exit code or a report file: a run that ends early, by
``os._exit(0)``, ``pytest.exit``, a signal or a limit, is not complete and says why.

Known limit: the target's code runs in the process that reports. Code written to deceive can read the run's token there and send
outcomes of its own; a forged "passed" beside a real failure loses, one in place of a real outcome can't be told. What a patch may
touch is restricted elsewhere, and a person reviews it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fixbot.agent.environments import Environment, import_roots
from fixbot.agent.sandbox.base import Command, Limits, Outcome, Sandbox
from fixbot.agent.verify.results import Events, SuiteResult, TestResult, problem

__all__ = ["SuiteOptions", "SuiteResult", "TestResult", "run_suite"]

_HERE = Path(__file__).parent
_PLUGIN = {
    "plugin.py": "fixbot_pytest_plugin.py",
    "plugin_lines.py": "fixbot_pytest_lines.py",
    "plugin_options.py": "fixbot_pytest_options.py",
}
_INSIDE = Path("/fixbot")
_OPTIONS = ("-p", "no:cacheprovider", "-p", "fixbot_pytest_plugin", "--continue-on-collection-errors")
_RUNNER = re.compile(r"(?:uv|poetry|pdm|pipenv|rye|hatch)\s+run\s+(?=py\.?test\b|python)")
_SHELL = re.compile(r"[;&|<>$`\n*?~()]|^\s*\w+=")
_PYTEST = re.compile(r"\bpy\.?test\b")
_SETTINGS = re.compile(r"""environ(?:\.setdefault\(\s*|\[)['"]DJANGO_SETTINGS_MODULE['"](?:\s*,|\]\s*=)\s*['"]([\w.]+)['"]""")
_CONFIGURED = ("conftest.py", "tests/conftest.py", "test/conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml")
_NO_TESTS_OF_ITS_OWN = "per-test results are not available: the test command does not run pytest"
_DETAIL = 4096  # characters of output kept as the detail of a command without per-test results


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """How to run a suite.

    ``test_command`` replaces plain ``pytest`` (split like a shell would; run by ``sh`` when it holds shell syntax). ``timeout`` is for
    the whole run, ``test_timeout`` for each of a test's set-up, call and tear-down, both in seconds. ``select`` are the node ids to run,
    all when None. ``watch`` are the lines to look for, by path relative to the repository. ``files``: plain pytest on these test files,
    whatever the command.
    """

    test_command: str | None = None
    timeout: float = 900
    test_timeout: float = 60
    limits: Limits = field(default_factory=Limits)
    select: Sequence[str] | None = None
    watch: Mapping[str, Collection[int]] = field(default_factory=dict[str, Collection[int]])
    files: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Kit:
    """The folder with the plugin: where it is, and where the sandbox shows it."""

    folder: Path
    inside: Path


def run_suite(
    tree: Path,
    environment: Environment,
    sandbox: Sandbox,
    options: SuiteOptions,
    mount: Path,
    on_progress: Callable[[int, int], None] | None = None,
) -> SuiteResult:
    """Run the suite of ``tree``, a throw-away copy, which the sandbox shows at ``mount`` (in place when it can't move folders).

    ``on_progress`` gets the number of tests with an outcome and of tests collected. Raises SandboxError when the sandbox can't start.
    """
    mount = mount if sandbox.moves else tree
    watch = {str(mount / path): (path, frozenset(lines)) for path, lines in options.watch.items()}
    events = Events(secrets.token_hex(16), watch, on_progress)
    with tempfile.TemporaryDirectory(prefix="suite-", dir=tree.parent) as folder:
        place = Path(folder).resolve()
        kit = _Kit(place, _INSIDE if sandbox.moves else place)
        _write(kit, environment, options, watch)
        command = Command(
            argv=_argv(kit, environment, None if options.files else options.test_command, options.files),
            root=tree,
            mount=mount,
            readable=[(kit.folder, kit.inside), *((path, path) for path in environment.readable if path.exists())],
            env=_env(kit, environment, options, tree, mount) | {"FIXBOT_RUN_TOKEN": events.token},
            limits=replace(options.limits, seconds=options.timeout),
            on_event=events.add,
        )
        outcome = sandbox.run(command)
    return _result(events, outcome, options)


def _write(kit: _Kit, environment: Environment, options: SuiteOptions, watch: Mapping[str, tuple[str, frozenset[int]]]) -> None:
    """Fill the plugin's folder; readable for everybody, since a sandbox may give up the user's rights."""
    kit.folder.chmod(0o755)
    for source, name in _PLUGIN.items():
        (kit.folder / name).write_bytes((_HERE / source).read_bytes())
    if watch:
        lines = {path: sorted(numbers) for path, (_, numbers) in watch.items()}
        (kit.folder / "watch.json").write_text(json.dumps(lines), encoding="utf-8")
    if options.select is not None:
        (kit.folder / "select.json").write_text(json.dumps(list(options.select)), encoding="utf-8")
    (kit.folder / "bin").mkdir()
    python, plugin = shlex.quote(str(environment.python)), shlex.quote(str(kit.inside / "fixbot_pytest_plugin.py"))
    for name, words in (("python", python), ("python3", python), ("pytest", f"{python} {plugin}"), ("py.test", f"{python} {plugin}")):
        (kit.folder / "bin" / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    for path in kit.folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _argv(kit: _Kit, environment: Environment, test_command: str | None, files: Sequence[str]) -> list[str]:
    """What to run. Like the ``pytest`` script, ``plugin.py`` as a script does not put the current folder on the path."""
    pytest = [str(environment.python), str(kit.inside / "fixbot_pytest_plugin.py")]
    if test_command is None:
        return [*pytest, *_OPTIONS, *files]
    test_command = _RUNNER.sub("", test_command)
    if _SHELL.search(test_command):
        return ["/bin/sh", "-c", test_command]
    words = shlex.split(test_command)
    if words[:1] in (["pytest"], ["py.test"]):
        return [*pytest, *words[1:]]
    return [str(environment.python), *words[1:]] if re.fullmatch(r"python[\d.]*", words[0] if words else "") else words


def _env(kit: _Kit, environment: Environment, options: SuiteOptions, tree: Path, mount: Path) -> dict[str, str]:
    """The whole environment of the run; the sandbox adds HOME, TMPDIR and the pipe.

    The same date zone, locale and hash seed in every run. CI is not set: tests that skip themselves in CI shall run, and pytest
    would print whole assertions; random tests get fixed seeds from the plugin instead.
    """
    roots, late = _roots(tree)
    paths = [kit.inside, *(mount / root for root in roots), *environment.pythonpath]
    settings, folder = _django(tree)
    late += [folder] if settings and folder not in (*roots, *late) else []
    env = {
        "PATH": f"{environment.python.parent}:{kit.inside / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join(str(path) for path in paths),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "FIXBOT_TEST_TIMEOUT": str(options.test_timeout),
        "FIXBOT_PATHS": os.pathsep.join(str(mount / root) for root in late),
        "FIXBOT_DJANGO": settings,
    }
    if options.test_command is not None:
        env["PYTEST_ADDOPTS"] = shlex.join(_OPTIONS)
    for name in ("watch", "select"):
        if (kit.folder / f"{name}.json").exists():
            env[f"FIXBOT_{name.upper()}"] = str(kit.inside / f"{name}.json")
    return env


def _roots(tree: Path) -> tuple[list[str], list[str]]:
    """The import roots for PYTHONPATH, and those with modules named like the standard library's, which would break Python's start."""
    plain: list[str] = []
    late: list[str] = []
    for root in import_roots(tree):
        shadows = any(
            name.removesuffix(".py") in sys.stdlib_module_names and (name.endswith(".py") or (tree / root / name / "__init__.py").exists())
            for name in os.listdir(tree / root)
        )
        (late if shadows else plain).append(root)
    return plain, late


def _django(tree: Path) -> tuple[str, str]:
    """The settings module that the only ``manage.py`` names and that file's folder; empty when the target's tests are set up already."""
    places = [path for path in (tree / "manage.py", *sorted(tree.glob("*/manage.py"))) if path.is_file() and not path.is_symlink()]
    if len(places) != 1:
        return "", ""
    folder = places[0].parent
    texts = (_text(base / name) for base in dict.fromkeys((tree, folder)) for name in _CONFIGURED)
    named = _SETTINGS.search(_text(places[0]))
    if named is None or any("DJANGO_SETTINGS_MODULE" in text for text in texts):
        return "", ""
    return named[1], folder.relative_to(tree).as_posix()


def _text(path: Path) -> str:
    if not path.is_file() or path.is_symlink():
        return ""
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(100_000)


def _result(events: Events, outcome: Outcome, options: SuiteOptions) -> SuiteResult:
    words = problem(events, outcome, options.timeout)
    absent = [name for name in options.select or () if name not in events.collected]
    if not words and absent:
        words = f"{len(absent)} of the selected tests were not collected, the first is {absent[0]}"
    result = SuiteResult(
        tests=events.tests,
        collected=tuple(events.collected),
        collection_errors=events.errors,
        import_lines={path: tuple(sorted(lines)) for path, lines in events.import_lines.items()},
        complete=not words,
        problem=words,
        exit_code=outcome.exit_code,
        seconds=outcome.seconds,
        output=outcome.output,
        limit=outcome.limit,
        line_evidence=bool(options.watch) and bool(events.started) and not events.lines_lost,
        notes=tuple(dict.fromkeys(events.notes)),
    )
    other = options.test_command is not None and not events.started and not _PYTEST.search(options.test_command)
    return _of_exit_code(result) if other and outcome.limit is None else result


def _of_exit_code(result: SuiteResult) -> SuiteResult:
    """The result of a command without pytest: one test, made up from its exit code."""
    test = TestResult("command", "failed" if result.exit_code else "passed", result.seconds, result.output[-_DETAIL:])
    return replace(result, tests={test.id: test}, collected=(test.id,), complete=True, problem=_NO_TESTS_OF_ITS_OWN)

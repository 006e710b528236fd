"""Arguments and settings of a target's pytest that stand in the way of one outcome for each test. Copied beside the pytest plugin.

Runs in the target's interpreter: standard library only, Python 3.8 and later, pytest 6 and later.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Options that the target's configuration may hold for a plugin that is not installed: what the parser would call one, then those
# that take a value and those that do not. If they stayed, the whole suite would end in a usage error.
_FOREIGN: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "cov_source",
        ("--cov", "--cov-report", "--cov-config", "--cov-fail-under", "--cov-context", "--cov-precision"),
        ("--no-cov", "--cov-append", "--cov-branch", "--no-cov-on-fail", "--cov-reset"),
    ),
    ("numprocesses", ("-n", "--numprocesses", "--maxprocesses", "--dist", "--tx", "--max-worker-restart"), ("-d", "-f", "--looponfail")),
    ("timeout", ("--timeout", "--timeout-method", "--session-timeout"), ()),
    ("reruns", ("--reruns", "--reruns-delay", "--only-rerun", "--rerun-except"), ()),
    ("htmlpath", ("--html", "--css"), ("--self-contained-html",)),
    ("randomly_seed", ("--randomly-seed",), ("--randomly-dont-reorganize", "--randomly-dont-reset-seed")),
    (
        "lf",
        ("--lfnf", "--last-failed-no-failures"),
        ("--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--cache-clear"),
    ),
    ("stepwise", (), ("--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--sw-reset", "--stepwise-reset")),
)
# Later options win: one process, all tests, the same order and the same random numbers in every run.
_FORCED = (
    ("maxfail", "--maxfail=0"),
    ("numprocesses", "-n0"),
    ("dist", "--dist=no"),
    ("cov_source", "--no-cov"),
    ("randomly_seed", "--randomly-seed=1"),
    ("randomly_reorganize", "--randomly-dont-reorganize"),
    ("hypothesis_seed", "--hypothesis-seed=0"),
)


def adapt(args: list[str], options: Any) -> list[str]:
    """Change the arguments in place so that every test gets an outcome; returns notes on what was taken out.

    ``options`` are the arguments as the parser knows them: an attribute that is missing means that its plugin is not in use.
    """
    absent = [(valued, flags) for probe, valued, flags in _FOREIGN if not hasattr(options, probe)]
    with_value = {name for valued, _ in absent for name in valued}
    without = {name for _, flags in absent for name in flags}
    end = args.index("--") if "--" in args else len(args)
    kept: list[str] = []
    notes: list[str] = []
    index = 0
    while index < end:
        word = args[index]
        index += 1
        name, equals, _ = word.partition("=")
        joined = word[:2] == "-n" and "-n" in with_value and word[2:].isalnum()
        if name not in with_value and word not in without and not joined:
            kept.append(word)
            continue
        if name in with_value and not equals and index < end and args[index][:1] != "-":
            word, index = word + " " + args[index], index + 1
        notes.append(f"left out {word} (its plugin is not in use)")
    args[:] = kept + [option for probe, option in _FORCED if hasattr(options, probe)] + args[end:]
    options.no_cov = True  # pytest-cov has read the arguments already
    return notes


def narrow(config: Any, select: set[str]) -> None:
    """Keep pytest from importing test files that hold no selected test; changes nothing when an id's file can't be told."""
    root = str(getattr(config, "rootpath", None) or config.rootdir)
    files = {os.path.realpath(os.path.join(root, name.split("::")[0])) for name in select}
    if not all(os.path.isfile(name) for name in files):
        return

    def unwanted(path: str) -> bool | None:
        return (os.path.isfile(path) and os.path.basename(path) != "__init__.py" and os.path.realpath(path) not in files) or None

    class Modern:
        def pytest_ignore_collect(self, collection_path: Any) -> bool | None:
            return unwanted(str(collection_path))

    class Legacy:
        def pytest_ignore_collect(self, path: Any) -> bool | None:
            return unwanted(str(path))

    modern = int(importlib.import_module("pytest").__version__.split(".")[0]) >= 7
    config.pluginmanager.register(Modern() if modern else Legacy(), "fixbot-select")


def start_django(plugins: Any, settings_module: str) -> list[str]:
    """Name the settings and, without pytest-django, set Django up as its own test runner does; returns notes on what failed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings_module)
    if plugins.hasplugin("django"):
        return []
    try:
        importlib.import_module("django").setup()
        settings = importlib.import_module("django.conf").settings
        runner = importlib.import_module("django.test.utils").get_runner(settings)(verbosity=0, interactive=False)
        runner.setup_test_environment()
        runner.setup_databases()
    except Exception as error:  # the target's settings and models run here: anything may come out
        return [f"Django could not be set up: {error!r}"]
    return []

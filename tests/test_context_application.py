"""A bug of the life cycle is shown with the application that its file belongs to."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixbot.detectors.finding import MODEL, Finding, Severity, Span
from fixbot.detectors.project import discover
from fixbot.patchers.model.context import Context, ContextError, build_context

CLOSED = "the client is never closed"
MAIN = """\
from fastapi import FastAPI


async def life(app):
    yield


app = FastAPI(
    title="x",
    lifespan=life,
)
"""
FILES = {
    "api/app/main.py": MAIN,
    "api/app/workers/runner.py": "import redis\n\n\ndef runner():\n    return redis.Redis()\n",
    "other/main.py": "import fastapi\n\napp = fastapi.FastAPI()\n",
    "other/job.py": "import redis\n\n\ndef job():\n    return redis.Redis()\n",
    "alone/work.py": "import redis\n\n\ndef work():\n    return redis.Redis()\n",
    "tests/test_main.py": MAIN,
    "tests/test_alone.py": "import sys\n\n\ndef test_alone():\n    assert sys.path\n",
}


def context(tmp_path: Path, path: str, message: str) -> Context:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    finding = Finding("reported-bug", Severity.HIGH, path, Span(5, 1, 5, 5), message, fix=MODEL)
    return build_context(finding, discover(tmp_path))


def test_application_above_the_file_is_shown_and_editable(tmp_path: Path) -> None:
    found = context(tmp_path, "api/app/workers/runner.py", CLOSED)
    assert found.editable == ("api/app/workers/runner.py", "api/app/main.py")
    for line in ("from fastapi import FastAPI", "async def life(app):", "lifespan=life,"):
        assert line in found.code


def test_application_of_another_form(tmp_path: Path) -> None:
    assert context(tmp_path, "other/job.py", CLOSED).editable == ("other/job.py", "other/main.py")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("api/app/workers/runner.py", "the result may be None"),
        ("api/app/workers/runner.py", "enclosed in brackets, the disclosure"),
        ("alone/work.py", CLOSED),
    ],
)
def test_other_bugs_and_other_applications_are_left_out(tmp_path: Path, path: str, message: str) -> None:
    assert context(tmp_path, path, message).editable == (path,)


def test_nothing_is_asked_about_files_that_no_fix_may_change(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match="may not be changed by a fix: test code"):
        context(tmp_path, "tests/test_alone.py", "x")

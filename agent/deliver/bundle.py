"""The bundle: a finished run in one file, for a second job that may write to the forge but runs no code of the repository.

Whoever reads a bundle treats it as hostile: its shape and its digest are checked here, its patches by the gate (see ``offers``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fixbot.agent.errors import UsageError
from fixbot.agent.result import RunResult, Status, result_from_json
from fixbot.agent.state import write_json
from fixbot.detectors.finding import FixKind, Safety, Severity
from fixbot.patchers.patch import Origin

VERSION = 1
MAX_SIZE = 64 << 20  # bytes

_Text = Annotated[str, Field(max_length=1 << 20)]
_Path = Annotated[str, Field(min_length=1, max_length=4096)]
_Number = Annotated[int, Field(ge=0, le=1 << 40)]
_Id = Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Words(_Data):
    model: _Text
    text: _Text


class _Patch(_Data):
    origin: Annotated[Origin, Field(strict=False)]
    safety: Annotated[Safety, Field(strict=False)]
    bases: dict[_Path, Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]]
    edits: list[Annotated[tuple[_Path, _Number, _Number, _Text], Field(strict=False)]]
    diff: _Text
    model: _Text | None = None
    words: _Words | None = None


class _Proof(_Data):
    path: _Path
    source: _Text
    kept: bool


class _Covered(_Data):
    executed: _Number
    changed: _Number


class _Verdict(_Data):
    grade: Literal["verified", "checked", "unverifiable"]
    reason: _Text
    tests_before: _Number
    tests_after: _Number
    newly_failing: list[_Text]
    newly_passing: list[_Text]
    flaky: list[_Text]
    executed_by: list[_Text]
    changed_lines_covered: _Covered
    proof_test: _Proof | None


class _Spend(_Data):
    model: _Text | None


class _Related(_Data):
    path: _Path
    line: _Number
    message: _Text


class _Fix(_Data):
    kind: Annotated[FixKind, Field(strict=False)]
    safety: Annotated[Safety, Field(strict=False)]


class _Finding(_Data):
    rule: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9/_.-]{0,99}$")]
    severity: Annotated[Severity, Field(strict=False)]
    path: _Path
    line: _Number
    column: _Number
    end_line: _Number
    end_column: _Number
    message: _Text
    scope: _Text
    key: _Text
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
    related: list[_Related]
    fix: _Fix
    facts: dict[str, Any]
    source: _Text
    sources: list[_Text] = Field(default_factory=list[str])
    status: Annotated[Status, Field(strict=False)]
    reason: _Text
    patch: _Patch | None
    verdict: _Verdict | None
    spend: _Spend | None = None


class _Skipped(_Data):
    path: _Path
    reason: _Text


class _Tests(_Data):
    passed: _Number = 0
    failed: _Number = 0
    problem: _Text = ""


class _Report(_Data):
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    base: _Id
    findings: Annotated[list[_Finding], Field(max_length=100_000)]
    files_scanned: _Number
    files_clean: _Number
    files_skipped: list[_Skipped]
    notes: list[_Text]
    tests: _Tests
    suite_runs: _Number
    sandbox: _Text
    environment: _Text
    rules: list[_Text]
    whole: bool


class _Bundle(_Data):
    version: Literal[1]
    sha256: str
    report: dict[str, Any]


def write_bundle(path: Path, result: RunResult) -> None:
    """Write a run to a file; where the repository lay on this machine is left out. Raises UsageError."""
    report = replace(result, repository="", branch=None, tip=None).to_json()
    try:
        write_json(path, {"version": VERSION, "sha256": _digest(report), "report": report})
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def read_bundle(path: Path) -> RunResult:
    """The run in a bundle. Raises UsageError for a file that is none, is damaged or was changed since it was written."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MAX_SIZE:
        raise UsageError(f"{path} is larger than {MAX_SIZE >> 20} MiB", "deliver fewer findings: fixbot run --select ...")
    try:
        bundle = _Bundle.model_validate(json.loads(data))
        if _digest(bundle.report) != bundle.sha256:
            raise UsageError(f"{path} is not as fixbot wrote it: its digest differs", "make it anew: fixbot run --bundle")
        _Report.model_validate(bundle.report)
        return result_from_json(bundle.report)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        words = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": type(error).__name__}
        where = ".".join(map(str, words["loc"]))
        raise UsageError(f"{path} is no bundle of fixbot: {where}: {words['msg']}", "make one: fixbot run --bundle FILE") from None


def _digest(report: dict[str, Any]) -> str:
    text = json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()

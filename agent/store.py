"""The ledger: what every run did, step by step, in one sqlite file. A killed run resumes from it and loses at most the step under way."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fixbot.agent.decisions import Decision, Kind, Source
from fixbot.agent.errors import LedgerError
from fixbot.patchers.model.exchanges import Exchange

_VERSION = 3  # 1 had no exchanges, 2 no decisions
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, repository TEXT NOT NULL, base TEXT NOT NULL, settings TEXT NOT NULL,
    started INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'running', report TEXT
);
CREATE TABLE IF NOT EXISTS steps (
    run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS exchanges (
    run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, position INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (run, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
    repository TEXT NOT NULL, fingerprint TEXT NOT NULL, kind TEXT NOT NULL, rule TEXT NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL, made INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (repository, fingerprint, code)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reviews (
    run TEXT NOT NULL REFERENCES runs(id) ON DELETE CASCADE, finding TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (run, finding)
) WITHOUT ROWID;
"""
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as the ledger knows it. ``started`` is seconds since 1970; ``status`` is running, finished or interrupted."""

    id: str
    repository: str
    base: str
    settings: str
    started: int
    status: str
    report: dict[str, Any] | None = None


class Ledger:
    """The runs of all repositories of this user. Every write is one transaction, on disk when it returns. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            os.chmod(path, 0o600)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("PRAGMA foreign_keys=ON")
            version = int(self._database.execute("PRAGMA user_version").fetchone()[0])
            if version > _VERSION:
                raise LedgerError(f"the ledger {path} is of version {version}, this fixbot writes {_VERSION}", "move the file away")
            self._database.executescript(_SCHEMA)
            self._database.execute(f"PRAGMA user_version={_VERSION}")
        except (OSError, sqlite3.Error) as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _failure(self, error: Exception) -> LedgerError:
        return LedgerError(f"the ledger {self._path} cannot be used: {error}", "free disk space, or set FIXBOT_STATE_DIR to another folder")

    @contextlib.contextmanager
    def _guarded(self) -> Generator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._database
        except sqlite3.Error as error:
            raise self._failure(error) from error

    # Runs

    def start(self, record: RunRecord) -> None:
        """Enter a new run."""
        with self._guarded() as database:
            row = (record.id, record.repository, record.base, record.settings, record.started, record.status)
            database.execute("INSERT INTO runs (id, repository, base, settings, started, status) VALUES (?, ?, ?, ?, ?, ?)", row)

    def set_base(self, run: str, base: str) -> None:
        """Note the commit that a run works on."""
        with self._guarded() as database:
            database.execute("UPDATE runs SET base = ? WHERE id = ?", (base, run))

    def finish(self, run: str, status: str, report: dict[str, Any] | None = None) -> None:
        """Note how a run ended; the steps of a finished run are dropped, its report holds what they said."""
        with self._guarded() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE runs SET status = ?, report = ? WHERE id = ?", (status, json.dumps(report) if report else None, run))
            if status == "finished":
                database.execute("DELETE FROM steps WHERE run = ?", (run,))
            database.execute("COMMIT")

    def find(self, run: str) -> RunRecord:
        """A run by its id or an unambiguous beginning of it; ``last`` is the newest. Raises LedgerError."""
        with self._guarded() as database:
            if run == "last":
                rows = database.execute("SELECT * FROM runs ORDER BY started DESC, rowid DESC LIMIT 1").fetchall()
            else:
                rows = database.execute("SELECT * FROM runs WHERE substr(id, 1, length(?)) = ?", (run, run)).fetchall()
        if len(rows) != 1:
            raise LedgerError(f"{len(rows) or 'no'} runs begin with `{run}`", "`fixbot report --list` lists the runs")
        return _record(rows[0])

    def runs(self, repository: str | None = None) -> Iterator[RunRecord]:
        """The runs, newest first; of one repository when its path is given."""
        with self._guarded() as database:
            rows = database.execute(
                "SELECT * FROM runs WHERE ? IS NULL OR repository = ? ORDER BY started DESC, rowid DESC", (repository, repository)
            ).fetchall()
        yield from map(_record, rows)

    def model_success(self, rule: str) -> tuple[int, int]:
        """How many fixes of a rule by models were tried in finished runs, and how many of them were proven."""
        tried = proven = 0
        for record in self.runs():
            findings: list[dict[str, Any]] = record.report["findings"] if record.report else []
            for entry in findings:
                if entry["rule"] == rule and entry["patch"] and entry["patch"]["origin"] == "model":
                    tried += entry["status"] in ("fixed", "failed", "regressed")
                    proven += entry["status"] == "fixed"
        return tried, proven

    # Steps

    def step(
        self, run: str, key: str, compute: Callable[[], _Value], load: Callable[[Any], _Value], dump: Callable[[_Value], Any]
    ) -> _Value:
        """The value of a step: from the ledger where an earlier try of this run got that far, else computed and noted down."""
        with self._guarded() as database:
            row = database.execute("SELECT value FROM steps WHERE run = ? AND key = ?", (run, key)).fetchone()
        if row is not None:
            return load(json.loads(row[0]))
        value = compute()
        with self._guarded() as database:
            database.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (run, key, json.dumps(dump(value))))
        return value

    # Exchanges with a model: kept when the run has finished, for reports and for running it again without the endpoint

    def save_exchange(self, run: str, exchange: Exchange) -> None:
        """Add an exchange to a run."""
        text = json.dumps(exchange.to_json())
        with self._guarded() as database:
            database.execute(
                "INSERT INTO exchanges SELECT ?1, COALESCE(MAX(position) + 1, 0), ?2 FROM exchanges WHERE run = ?1", (run, text)
            )

    def exchanges(self, run: str) -> Iterator[Exchange]:
        """The exchanges of a run, in the order in which they were saved. Raises LedgerError."""
        with self._guarded() as database:
            rows = database.execute("SELECT json FROM exchanges WHERE run = ? ORDER BY position", (run,)).fetchall()
        for (text,) in rows:
            try:
                yield Exchange.from_json(json.loads(text))
            except ValueError as error:
                raise LedgerError(f"the ledger {self._path} holds a damaged exchange of the run {run}", "start a new run") from error

    # Decisions of people: one for each state of a finding's code; the last one counts

    def decide(self, *some: Decision) -> None:
        """Remember decisions, in the place of earlier ones about the same code."""
        rows = [
            (one.repository, one.fingerprint, one.kind.value, one.rule, one.code, _text(one.reason), one.when, one.source.value)
            for one in some
        ]
        self._write_all("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def take_back(self, repository: str, codes: Mapping[str, str]) -> None:
        """Forget decisions about findings, whose ``codes`` are given by fingerprint; nothing happens where there is none."""
        rows = [(repository, fingerprint, code) for fingerprint, code in codes.items()]
        self._write_all("DELETE FROM decisions WHERE repository = ? AND fingerprint = ? AND code = ?", rows)

    def _write_all(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """One statement with many rows, all or none of them."""
        with self._guarded() as database, _transaction(database):
            database.executemany(statement, rows)

    def decisions(self, repository: str | None = None) -> Iterator[Decision]:
        """The decisions, oldest first; of one repository when its path is given."""
        with self._guarded() as database:
            rows = database.execute(
                "SELECT * FROM decisions WHERE ?1 IS NULL OR repository = ?1 ORDER BY made, fingerprint", (repository,)
            ).fetchall()
        for place, fingerprint, kind, rule, code, reason, made, source in rows:
            yield Decision(place, fingerprint, Kind(kind), rule, code, reason, made, Source(source))

    # Reviews: where each finding of a run stands in its review

    def save_review(self, run: str, entries: Mapping[str, Any]) -> None:
        """Note where some findings of a run stand, as plain data by fingerprint."""
        rows = [(run, finding, json.dumps(data)) for finding, data in entries.items()]
        self._write_all("INSERT OR REPLACE INTO reviews VALUES (?, ?, ?)", rows)

    def review(self, run: str) -> dict[str, Any]:
        """Where the findings of a run stand, by fingerprint; those that nothing was noted about are missing."""
        with self._guarded() as database:
            rows = database.execute("SELECT finding, json FROM reviews WHERE run = ?", (run,)).fetchall()
        return {finding: json.loads(text) for finding, text in rows}


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Generator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _text(text: str) -> str:
    """Text that can be UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def _record(row: tuple[Any, ...]) -> RunRecord:
    return RunRecord(*row[:6], report=json.loads(row[6]) if row[6] else None)

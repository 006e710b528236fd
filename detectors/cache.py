"""Results of a file's analysis, kept between runs. A key is a hash of the content, the rules and the options, never a time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
_SCHEMA = "CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, result TEXT NOT NULL, used INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
_CHUNK = 500
_MAX_ROWS = 200_000


class Cache:
    """A sqlite file of JSON values by key. A cache that cannot be read or written is as good as none: it is logged, never an error."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """The stored values of those keys that are known."""
        found: dict[str, Any] = {}
        wanted = list(keys)
        with self._open() as database:
            if database is None:
                return found
            for start in range(0, len(wanted), _CHUNK):
                chunk = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = database.execute(f"SELECT key, result FROM files WHERE key IN ({marks})", chunk)
                found.update((key, json.loads(result)) for key, result in rows)
        return found

    def put(self, values: Mapping[str, str]) -> None:
        """Store values as the text of their JSON; the oldest rows go when there are too many."""
        if not values:
            return
        with self._open() as database:
            if database is None:
                return
            newest = int(database.execute("SELECT coalesce(max(used), 0) FROM files").fetchone()[0]) + 1
            database.executemany(f"INSERT OR REPLACE INTO files VALUES (?, ?, {newest})", values.items())
            surplus = int(database.execute("SELECT count(*) FROM files").fetchone()[0]) - _MAX_ROWS
            if surplus > 0:
                database.execute("DELETE FROM files WHERE key IN (SELECT key FROM files ORDER BY used LIMIT ?)", (surplus,))
            database.commit()

    @contextlib.contextmanager
    def _open(self) -> Any:
        database: sqlite3.Connection | None = None
        try:
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if self._path.parent.stat().st_uid != os.getuid():
                    raise OSError("belongs to another user")
                database = sqlite3.connect(self._path, timeout=5)
                database.execute(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            log.warning("no cache at %s: %s", self._path, error)
            if database is not None:
                database.close()
            database = None
        try:
            yield database
        except (sqlite3.Error, ValueError) as error:
            log.warning("cache %s: %s", self._path, error)
        finally:
            if database is not None:
                database.close()

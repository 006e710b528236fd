"""In-memory stand-in for the supabase package: the query builder calls the API uses."""

import copy
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass
class Response:
    data: list[dict[str, Any]]
    count: int | None = None


def comparable(value: Any) -> Any:
    """Timestamps arrive as ISO strings; compare them as times."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return value


def project(row: dict[str, Any], columns: str) -> dict[str, Any]:
    if columns.strip() == "*":
        return copy.deepcopy(row)
    picked = {}
    for item in columns.split(","):
        alias, _, expression = item.strip().rpartition(":")
        column, arrow, key = expression.partition("->>")
        value = row.get(column)
        if arrow:
            value = (value or {}).get(key)
        picked[alias or column] = copy.deepcopy(value)
    return picked


class Query:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._action = "select"
        self._columns = "*"
        self._payload: Any = None
        self._count = False
        self._tests: list[Any] = []
        self._order: list[tuple[str, bool]] = []
        self._window: tuple[int, int | None] = (0, None)

    def select(self, columns: str = "*", count: str | None = None) -> "Query":
        self._columns, self._count = columns, count == "exact"
        return self

    def insert(self, payload: Any) -> "Query":
        self._action, self._payload = "insert", payload
        return self

    def update(self, payload: dict[str, Any]) -> "Query":
        self._action, self._payload = "update", payload
        return self

    def delete(self) -> "Query":
        self._action = "delete"
        return self

    def eq(self, column: str, value: Any) -> "Query":
        self._tests.append(lambda row: row.get(column) == value)
        return self

    def neq(self, column: str, value: Any) -> "Query":
        self._tests.append(lambda row: row.get(column) != value)
        return self

    def in_(self, column: str, values: Any) -> "Query":
        self._tests.append(lambda row: row.get(column) in values)
        return self

    def _compare(self, column: str, value: Any, accept: Any) -> "Query":
        def test(row: dict[str, Any]) -> bool:
            stored = row.get(column)
            return stored is not None and accept(comparable(stored), comparable(value))

        self._tests.append(test)
        return self

    def gt(self, column: str, value: Any) -> "Query":
        return self._compare(column, value, lambda a, b: a > b)

    def gte(self, column: str, value: Any) -> "Query":
        return self._compare(column, value, lambda a, b: a >= b)

    def lt(self, column: str, value: Any) -> "Query":
        return self._compare(column, value, lambda a, b: a < b)

    def lte(self, column: str, value: Any) -> "Query":
        return self._compare(column, value, lambda a, b: a <= b)

    def order(self, column: str, desc: bool = False) -> "Query":
        self._order.append((column, desc))
        return self

    def limit(self, size: int) -> "Query":
        self._window = (self._window[0], size)
        return self

    def range(self, start: int, end: int) -> "Query":
        self._window = (start, end - start + 1)
        return self

    def execute(self) -> Response:
        if self._action == "insert":
            return Response(self._insert())
        matching = [row for row in self._rows if all(test(row) for test in self._tests)]
        if self._action == "update":
            for row in matching:
                row.update(copy.deepcopy(self._payload))
            return Response(copy.deepcopy(matching))
        if self._action == "delete":
            self._rows[:] = [row for row in self._rows if row not in matching]
            return Response(copy.deepcopy(matching))
        for column, desc in reversed(self._order):
            matching.sort(key=lambda row: comparable(row.get(column)), reverse=desc)
        start, size = self._window
        page = matching[start:] if size is None else matching[start : start + size]
        return Response(
            [project(row, self._columns) for row in page],
            len(matching) if self._count else None,
        )

    def _insert(self) -> list[dict[str, Any]]:
        rows = self._payload if isinstance(self._payload, list) else [self._payload]
        now = datetime.now(timezone.utc).isoformat()
        stored = [
            {"id": str(uuid.uuid4()), "created_at": now, "edit_count": 0, "status": "generated"}
            | copy.deepcopy(row)
            for row in rows
        ]
        self._rows.extend(stored)
        return copy.deepcopy(stored)


class Client:
    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = {}

    def table(self, name: str) -> Query:
        return Query(self.tables.setdefault(name, []))


def create_client(url: str, key: str) -> Client:
    return Client()

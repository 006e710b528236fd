"""Supabase stand-in that can hold tables to the schema of the migrations."""

import copy
import re
import types
import uuid
from datetime import datetime, timezone
from pathlib import Path


class APIError(Exception):
    def __init__(self, error):
        super().__init__(error)
        self.message = error.get("message") if isinstance(error, dict) else str(error)
        self.code = error.get("code") if isinstance(error, dict) else None


# ---------------------------------------------------------------- the schema

TABLE = re.compile(
    r"create\s+table\s+(?:if\s+not\s+exists\s+)?(?:public\.)?\"?(\w+)\"?\s*\(", re.IGNORECASE
)
ALTER = re.compile(
    r"alter\s+table\s+(?:if\s+exists\s+)?(?:only\s+)?(?:public\.)?\"?(\w+)\"?\s+(.*?);",
    re.IGNORECASE | re.DOTALL,
)
NOT_COLUMNS = {"primary", "unique", "constraint", "foreign", "check", "exclude", "like"}


def split_top(text):
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def column_facts(definition):
    default = re.search(r"\bdefault\s+(.+)", definition, re.IGNORECASE | re.DOTALL)
    return {
        "not_null": bool(re.search(r"\bnot\s+null\b|\bprimary\s+key\b", definition, re.IGNORECASE)),
        "default": default.group(1).strip() if default else None,
    }


def default_value(text):
    if text is None:
        return None
    low = text.lower()
    if re.match(r"(now|current_timestamp|timezone|transaction_timestamp)\b", low):
        return datetime.now(timezone.utc).isoformat()
    if "uuid" in low.split("(")[0]:
        return str(uuid.uuid4())
    if low.startswith(("'{}'", "'[]'")):
        is_json = "json" in low
        return [] if low.startswith("'[]'") or not is_json else {}
    quoted = re.match(r"'([^']*)'", text)
    if quoted:
        return quoted.group(1)
    if low.startswith(("true", "false")):
        return low.startswith("true")
    number = re.match(r"-?\d+(\.\d+)?", text)
    if number:
        return float(number.group(0)) if "." in number.group(0) else int(number.group(0))
    return None


def read_schema(folder):
    """{table: {column: facts}} of all migrations, in order."""
    schema = {}
    for path in sorted(Path(folder).rglob("*.sql")):
        sql = re.sub(r"--[^\n]*|/\*.*?\*/", "", path.read_text("utf-8"), flags=re.DOTALL)
        jsonb = set()
        for match in TABLE.finditer(sql):
            depth, end = 1, match.end()
            while depth:
                depth += (sql[end] == "(") - (sql[end] == ")")
                end += 1
            columns = schema.setdefault(match.group(1).lower(), {})
            for part in split_top(sql[match.end() : end - 1]):
                name = part.split()[0].strip('"').lower()
                if name not in NOT_COLUMNS:
                    columns[name] = column_facts(part)
                    if "json" in part.lower():
                        jsonb.add((match.group(1).lower(), name))
        for table, actions in ALTER.findall(sql):
            columns = schema.setdefault(table.lower(), {})
            for action in split_top(actions):
                added = re.match(
                    r"add\s+(?:column\s+)?(?:if\s+not\s+exists\s+)?\"?(\w+)\"?\s+(.*)",
                    action, re.IGNORECASE | re.DOTALL,
                )
                dropped = re.match(
                    r"drop\s+column\s+(?:if\s+exists\s+)?\"?(\w+)", action, re.IGNORECASE
                )
                renamed = re.match(
                    r"rename\s+(?:column\s+)?\"?(\w+)\"?\s+to\s+\"?(\w+)", action, re.IGNORECASE
                )
                if renamed:
                    columns[renamed.group(2).lower()] = columns.pop(renamed.group(1).lower())
                elif dropped:
                    columns.pop(dropped.group(1).lower(), None)
                elif added and added.group(1).lower() not in NOT_COLUMNS:
                    columns[added.group(1).lower()] = column_facts(action)
                    if "json" in action.lower():
                        jsonb.add((table.lower(), added.group(1).lower()))
                else:
                    change = re.match(
                        r"alter\s+(?:column\s+)?\"?(\w+)\"?\s+(set|drop)\s+(not\s+null|default)\s*(.*)",
                        action, re.IGNORECASE | re.DOTALL,
                    )
                    if change and change.group(1).lower() in columns:
                        facts = columns[change.group(1).lower()]
                        setting = change.group(2).lower() == "set"
                        if change.group(3).lower().startswith("not"):
                            facts["not_null"] = setting
                        else:
                            facts["default"] = change.group(4).strip() if setting else None
        for table, name in jsonb:
            facts = schema[table].get(name)
            if facts and facts["default"] and "json" not in facts["default"].lower():
                facts["default"] += "::jsonb"
    return schema


# ---------------------------------------------------------------- the client


def comparable(value):
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return value
        # PostgreSQL reads a time without zone in the session's zone, UTC
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return value


def same(stored, wanted):
    return stored == wanted or str(stored) == str(wanted)


class Response:
    def __init__(self, data, count=None):
        self.data, self.count = data, count


class Query:
    """One request; `db.strict` says which checks of the schema apply."""

    def __init__(self, db, table):
        self._db, self._table = db, table
        self._action, self._columns, self._payload = "select", None, None
        self._count, self._one = False, None
        self._tests, self._used, self._order = [], [], []
        self._window = (0, None)
        self._conflict = None
        self._negate = False

    def select(self, *columns, count=None, head=False):
        self._columns = ",".join(columns) or "*"
        self._count = count is not None and "exact" in str(count)
        return self

    def insert(self, payload, **options):
        self._action, self._payload = "insert", payload
        return self

    def upsert(self, payload, on_conflict="id", **options):
        self._action, self._payload, self._conflict = "upsert", payload, on_conflict
        return self

    def update(self, payload, **options):
        self._action, self._payload = "update", payload
        return self

    def delete(self, **options):
        self._action = "delete"
        return self

    @property
    def not_(self):
        self._negate = True
        return self

    def _test(self, column, accept):
        base, _, key = column.partition("->>")
        base = base.split("->")[0]
        negate, self._negate = self._negate, False
        self._used.append((column, base))

        def test(row):
            value = row.get(base)
            if key:
                value = (value or {}).get(key)
            return bool(accept(value)) is not negate

        self._tests.append(test)
        return self

    def eq(self, column, value):
        return self._test(column, lambda v: v is not None and same(comparable(v), comparable(value)))

    def neq(self, column, value):
        return self._test(column, lambda v: v is not None and not same(v, value))

    def is_(self, column, value):
        wanted = {"null": None, "true": True, "false": False}.get(str(value).lower(), value)
        return self._test(column, lambda v: v is wanted)

    def in_(self, column, values):
        return self._test(column, lambda v: any(same(v, value) for value in values))

    def gt(self, column, value):
        return self._test(column, lambda v: v is not None and comparable(v) > comparable(value))

    def gte(self, column, value):
        return self._test(column, lambda v: v is not None and comparable(v) >= comparable(value))

    def lt(self, column, value):
        return self._test(column, lambda v: v is not None and comparable(v) < comparable(value))

    def lte(self, column, value):
        return self._test(column, lambda v: v is not None and comparable(v) <= comparable(value))

    def order(self, column, desc=False, **options):
        self._order.append((column, desc))
        self._used.append((column, column))
        return self

    def limit(self, size, **options):
        self._window = (self._window[0], size)
        return self

    def range(self, start, end, **options):
        self._window = (start, end - start + 1)
        return self

    def single(self):
        self._one = "exactly"
        return self

    def maybe_single(self):
        self._one = "maybe"
        return self

    # -------------------------------------------------------------- execution

    def _items(self):
        text = self._columns or "*"
        for item in split_top(text):
            alias, _, expression = item.strip().rpartition(":")
            column, arrow, key = expression.partition("->>")
            yield alias or column, column.strip(), key if arrow else None

    def _check(self):
        strict = self._db.strict.get(self._table, set())
        schema = self._db.schema
        if not strict or ("columns" not in strict and self._action not in strict):
            return
        if self._table not in schema:
            raise APIError({"code": "42P01", "message": f'relation "{self._table}" does not exist'})
        known = schema[self._table]
        names = [base for _, base in self._used]
        if self._action == "select":
            names += [column for _, column, _ in self._items() if column != "*" and "(" not in column]
        if self._payload is not None:
            rows = self._payload if isinstance(self._payload, list) else [self._payload]
            names += [name for row in rows for name in row]
        for name in names:
            if name not in known:
                raise APIError(
                    {"code": "42703", "message": f"column {self._table}.{name} does not exist"}
                )

    def execute(self):
        with self._db.lock:
            self._db.log.append((self._table, self._action, [name for name, _ in self._used]))
            self._check()
            return self._execute()

    def _execute(self):
        rows = self._db.tables.setdefault(self._table, [])
        if self._action in ("insert", "upsert"):
            return Response(self._store(rows))
        matching = [row for row in rows if all(test(row) for test in self._tests)]
        if self._action == "update":
            for row in matching:
                row.update(copy.deepcopy(self._payload))
            return Response(copy.deepcopy(matching))
        if self._action == "delete":
            kept = [row for row in rows if not any(row is gone for gone in matching)]
            rows[:] = kept
            return Response(copy.deepcopy(matching))
        for column, desc in reversed(self._order):
            matching.sort(
                key=lambda row: (row.get(column) is None, comparable(row.get(column) or 0))
                if row.get(column) is None
                else (False, comparable(row[column])),
                reverse=desc,
            )
        start, size = self._window
        page = matching[start:] if size is None else matching[start : start + size]
        data = [self._project(row) for row in page]
        if self._one is not None:
            if len(data) != 1 and (self._one == "exactly" or data):
                raise APIError({"code": "PGRST116", "message": "not exactly one row"})
            if not data:
                return None
            return Response(data[0], 1)
        return Response(data, len(matching) if self._count else None)

    def _project(self, row):
        picked = {}
        for name, column, key in self._items():
            if column == "*":
                picked.update(copy.deepcopy(row))
            elif key is not None:
                picked[name] = (row.get(column) or {}).get(key)
            else:
                picked[name] = copy.deepcopy(row.get(column))
        return picked

    def _store(self, rows):
        payload = self._payload if isinstance(self._payload, list) else [self._payload]
        known = self._db.schema.get(self._table, {})
        stored = []
        for given in payload:
            row = {name: default_value(facts["default"]) for name, facts in known.items()}
            row.setdefault("id", str(uuid.uuid4()))
            row.update(copy.deepcopy(given))
            if "not_null" in self._db.strict.get(self._table, set()):
                for name, facts in known.items():
                    if facts["not_null"] and row.get(name) is None:
                        raise APIError(
                            {
                                "code": "23502",
                                "message": f'null value in column "{name}" of relation '
                                f'"{self._table}" violates not-null constraint',
                            }
                        )
            if self._action == "upsert":
                keys = [key.strip() for key in self._conflict.split(",")]
                for old in rows:
                    if all(old.get(key) == row.get(key) for key in keys):
                        old.update(copy.deepcopy(given))
                        stored.append(old)
                        break
                else:
                    rows.append(row)
                    stored.append(row)
            else:
                rows.append(row)
                stored.append(row)
        return copy.deepcopy(stored)


class Client:
    def __init__(self, schema, lock):
        self.schema, self.lock = schema, lock
        self.tables, self.log, self.strict = {}, [], {}

    def table(self, name):
        return Query(self, name)

    from_ = table

    # for the tests
    def put(self, name, /, **row):
        """Insert without any check; returns the stored row itself."""
        known = self.schema.get(name, {})
        full = {column: default_value(facts["default"]) for column, facts in known.items()}
        full.setdefault("id", str(uuid.uuid4()))
        full.update(row)
        self.tables.setdefault(name, []).append(full)
        return full

    def rows(self, name):
        return self.tables.setdefault(name, [])


def stub_modules(client):
    """Modules to put in sys.modules for `supabase` and `postgrest`."""
    supabase = types.ModuleType("supabase")
    supabase.Client = Client
    supabase.create_client = lambda url, key, *rest, **options: client
    postgrest = types.ModuleType("postgrest")
    exceptions = types.ModuleType("postgrest.exceptions")
    exceptions.APIError = APIError
    postgrest.APIError = APIError
    postgrest.exceptions = exceptions
    supabase.PostgrestAPIError = APIError
    return {"supabase": supabase, "postgrest": postgrest, "postgrest.exceptions": exceptions}

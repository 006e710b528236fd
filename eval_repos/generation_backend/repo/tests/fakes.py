"""An in-memory Supabase and a FAL.ai that answer like the real ones."""
import copy
import itertools
from datetime import datetime, timezone
from types import SimpleNamespace

import httpx
from supabase import AuthApiError

DEFAULTS = {
    "profiles": {"display_name": None, "credits_balance": 0, "is_active": True},
    "generations": {
        "media_paths": [], "error_message": None, "processing_seconds": None, "completed_at": None,
    },
}


class Query:
    def __init__(self, client, table):
        self.client, self.table = client, table
        self.rows = client.tables.setdefault(table, [])
        self.action, self.values = "select", None
        self.filters, self.slice, self.sorting = [], None, None

    def select(self, *columns):
        return self

    def insert(self, row):
        self.action, self.values = "insert", row
        return self

    def update(self, values):
        self.action, self.values = "update", values
        return self

    def delete(self):
        self.action = "delete"
        return self

    def eq(self, column, value):
        self.filters.append((column, value))
        return self

    def order(self, column, desc=False):
        self.sorting = (column, desc)
        return self

    def limit(self, count):
        self.slice = (0, count)
        return self

    def range(self, first, last):
        self.slice = (first, last + 1)
        return self

    async def execute(self):
        self.client.check()
        if self.action == "insert":
            row = {**copy.deepcopy(DEFAULTS.get(self.table, {})), **copy.deepcopy(self.values)}
            self.rows.append(row)
            return SimpleNamespace(data=[copy.deepcopy(row)])
        hits = [row for row in self.rows if all(row.get(name) == value for name, value in self.filters)]
        if self.action == "update":
            for row in hits:
                row.update(copy.deepcopy(self.values))
        elif self.action == "delete":
            self.rows[:] = [row for row in self.rows if row not in hits]
        if self.sorting:
            hits = sorted(hits, key=lambda row: row[self.sorting[0]], reverse=self.sorting[1])
        if self.slice:
            hits = hits[slice(*self.slice)]
        return SimpleNamespace(data=copy.deepcopy(hits))


class Rpc:
    def __init__(self, client, name, arguments):
        self.client, self.name, self.arguments = client, name, arguments

    async def execute(self):
        self.client.check()
        error = self.client.rpc_errors.get(self.name)
        if error is not None:
            raise error
        amount = self.arguments["p_amount"]
        profile = next(row for row in self.client.tables["profiles"] if row["id"] == self.arguments["p_user_id"])
        kind = {"deduct_credits": "usage", "refund_credits": "refund"}[self.name]
        if kind == "usage":
            if profile["credits_balance"] < amount:
                return SimpleNamespace(data=None)
            amount = -amount
        profile["credits_balance"] += amount
        self.client.tables.setdefault("credit_transactions", []).append(
            {
                "user_id": profile["id"], "generation_id": self.arguments["p_generation_id"], "amount": amount,
                "kind": kind, "created_at": datetime.now(timezone.utc).isoformat(),
            }
        )
        return SimpleNamespace(data=profile["credits_balance"])


class Bucket:
    def __init__(self, client):
        self.client = client

    async def upload(self, path, file, options=None):
        self.client.uploads_tried += 1
        if self.client.failing_uploads:
            self.client.failing_uploads -= 1
            raise ConnectionError("bucket is down")
        self.client.files[path] = file.read()

    async def remove(self, paths):
        for path in paths:
            if path in self.client.stuck_files:
                raise ConnectionError("bucket is down: " + path)
            self.client.files.pop(path, None)

    async def create_signed_urls(self, paths, expires_in):
        return [{"path": path, "signedURL": f"https://cdn.test/{path}?expires={expires_in}"} for path in paths]


class FakeSupabase:
    def __init__(self):
        self.tables, self.files, self.users = {}, {}, {}
        self.rpc_errors, self.stuck_files = {}, set()
        self.failing_uploads = self.uploads_tried = 0
        self.error = None
        self.closed = False
        self.storage = SimpleNamespace(from_=lambda name: Bucket(self))
        self.auth = SimpleNamespace(sign_in_with_password=self._sign_in)
        self.postgrest = SimpleNamespace(aclose=self._close)

    def check(self):
        if self.error is not None:
            raise self.error

    def table(self, name):
        return Query(self, name)

    def rpc(self, name, arguments):
        return Rpc(self, name, arguments)

    def add_profile(self, user_id, email="ada@example.com", credits=100, **values):
        self.tables.setdefault("profiles", []).append(
            {"id": user_id, "email": email, "display_name": None, "credits_balance": credits, "is_active": True,
             **values}
        )

    def profile(self, user_id):
        return next(row for row in self.tables["profiles"] if row["id"] == user_id)

    async def _sign_in(self, credentials):
        session = self.users.get((credentials["email"], credentials["password"]))
        if session is None:
            raise AuthApiError("Invalid login credentials")
        return SimpleNamespace(session=session)

    async def _close(self):
        self.closed = True


class FakeFal:
    """Serves the queue API through an httpx transport."""

    def __init__(self):
        self.requests, self.statuses, self.submit_errors = [], ["IN_QUEUE", "IN_PROGRESS"], []
        self.outputs = 1
        self._ids = itertools.count(1)
        self._polls = {}

    def __call__(self, request):
        self.requests.append(request)
        path = request.url.path
        if request.method == "POST":
            if self.submit_errors:
                raise self.submit_errors.pop(0)
            request_id = f"req-{next(self._ids)}"
            self._polls[request_id] = iter(self.statuses)
            return httpx.Response(200, json={"request_id": request_id})
        if path.endswith("/status"):
            request_id = path.split("/")[-2]
            return httpx.Response(200, json={"status": next(self._polls[request_id], "COMPLETED")})
        if "video" in path:
            return httpx.Response(200, json={"video": {"url": "https://fal.test/out.mp4"}})
        images = [{"url": f"https://fal.test/{index}.png"} for index in range(self.outputs)]
        return httpx.Response(200, json={"images": images})

    @property
    def submits(self):
        return [request for request in self.requests if request.method == "POST"]

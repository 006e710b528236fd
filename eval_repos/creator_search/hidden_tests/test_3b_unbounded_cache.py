import logging
import time
from datetime import datetime, timedelta

from hidden_helpers import auth, world  # noqa: F401

USERS = 30_000


class Row:
    status = "active"
    email = full_name = last_seen_at = None

    def __init__(self, id):
        self.id = id


class FakeSession:
    """Every user exists; writes go nowhere."""

    def get(self, model, id, **options):
        return Row(id)

    get_one = get

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def sizes(module):
    holders = [vars(module)] + [vars(value) for value in vars(module).values()
                                if hasattr(value, "__dict__") and getattr(type(value), "__module__", "") == module.__name__]
    holders += [vars(value) for value in vars(module).values()
                if isinstance(value, type) and value.__module__ == module.__name__]
    for holder in holders:
        for name, value in list(holder.items()):
            if not name.startswith("__") and hasattr(value, "__len__") and not isinstance(value, (str, bytes, type)):
                yield name, len(value)


def test_the_cache_is_bounded(world, monkeypatch):  # noqa: F811
    world.load()
    from app.services import supabase_auth_service as module

    service, session = module.supabase_auth_service, FakeSession()

    def sync(first, last):
        for number in range(first, last):
            user = service.sync_user(module.SupabaseUser(id=f"user-{number}", email=f"{number}@example.com"), session)
            assert user.id == f"user-{number}"

    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        sync(0, USERS)
        later = 7 * 24 * 3600
        for name in ("monotonic", "time", "perf_counter"):
            monkeypatch.setattr(time, name, lambda base=getattr(time, name): base() + later)
        if hasattr(module, "utcnow"):
            monkeypatch.setattr(module, "utcnow", lambda base=module.utcnow: base() + timedelta(seconds=later))
        if getattr(module, "datetime", None) is datetime:
            class Later(datetime):
                @classmethod
                def now(cls, tz=None):
                    return super().now(tz) + timedelta(seconds=later)

            monkeypatch.setattr(module, "datetime", Later)
        sync(USERS, USERS + 2_000)
    finally:
        logging.disable(previous)
    assert {name: size for name, size in sizes(module) if size > 25_000} == {}


def test_requests_still_work(world):  # noqa: F811
    world.load()
    world.fill()
    for _ in range(3):
        assert world.client().get("/api/v1/profiles/me", headers=auth()).status_code == 200

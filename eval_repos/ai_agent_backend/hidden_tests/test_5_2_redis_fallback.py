"""When Redis does not answer that must show: in the log, in /health, or by a refusal to start."""

import logging

import redis


class Records(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.messages = set()

    def emit(self, record):
        self.messages.add((record.name, record.levelname, str(record.msg)))


class Server:
    def __init__(self, error=None):
        self.error = error

    def __getattr__(self, name):
        def command(*args, **options):
            if self.error is not None and name not in {"close", "pipeline"}:
                raise self.error
            return [1, True] if name == "execute" else self

        return command


def observe(service, monkeypatch, error):
    """What operations can see of an application that starts with this Redis."""
    monkeypatch.setattr(redis.Redis, "from_url", lambda *args, **options: Server(error))
    handler = Records()
    logging.getLogger().addHandler(handler)
    try:
        built = service(REDIS_URL="redis://redis.test:6379/0")
        answer = built.client.post("/auth/login", json={"email": "ada@example.org", "password": "wrong horse"})
        assert answer.status_code == 401
        health = built.client.get("/health")
    finally:
        logging.getLogger().removeHandler(handler)
    return health.status_code, health.json(), handler.messages


def test_fallback_can_be_seen(service, load, monkeypatch):
    load("app.main")
    good = observe(service, monkeypatch, None)
    try:
        bad = observe(service, monkeypatch, redis.ConnectionError("connection refused"))
    except (redis.RedisError, RuntimeError):
        return  # it does not start without the Redis that was configured
    assert bad[:2] != good[:2] or bad[2] - good[2]


def test_no_redis_configured(service):
    client = service().client
    codes = [client.post("/auth/login", json={"email": "a@example.org", "password": "wrong horse"}).status_code for _ in range(21)]
    assert codes[0] == 401 and codes[-1] == 429

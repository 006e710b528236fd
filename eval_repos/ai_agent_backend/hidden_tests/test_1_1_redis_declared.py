import redis


class Server:
    values: dict = {}

    def ping(self):
        return True

    def pipeline(self, *args, **options):
        return self

    def incr(self, key, *args):
        self.values[key] = self.values.get(key, 0) + 1
        return self

    def expire(self, key, *args, **options):
        return self

    def execute(self):
        return [max(self.values.values()), True]

    def close(self):
        pass


def test_redis_is_declared_and_used(tools, load, monkeypatch):
    assert "redis" in tools.requirements()
    rate_limiting = load("app.rate_limiting")
    monkeypatch.setattr(redis.Redis, "from_url", lambda *args, **options: Server())
    store = rate_limiting.build_store("redis://localhost:6379/0")
    store.hit("chat:1", 60)
    assert store.hit("chat:1", 60) == 2
    assert Server.values, "the counts did not go to Redis"


def test_in_memory_without_the_package(without, load):
    without("redis")
    store = load("app.rate_limiting").build_store(None)
    assert [store.hit("a", 60), store.hit("a", 60)] == [1, 2]

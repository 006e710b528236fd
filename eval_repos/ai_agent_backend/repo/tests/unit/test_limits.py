from app.rate_limiting import InMemoryRateLimiter


def test_hits_are_counted():
    limiter = InMemoryRateLimiter()
    assert [limiter.hit("login:10.0.0.1", 60) for _ in range(3)] == [1, 2, 3]


def test_keys_are_separate():
    limiter = InMemoryRateLimiter()
    limiter.hit("login:10.0.0.1", 60)
    assert limiter.hit("login:10.0.0.2", 60) == 1


def test_clear():
    limiter = InMemoryRateLimiter()
    limiter.hit("login:10.0.0.1", 60)
    assert limiter.clear() == 1
    assert limiter.hit("login:10.0.0.1", 60) == 1

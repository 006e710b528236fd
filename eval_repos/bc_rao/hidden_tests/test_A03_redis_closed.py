"""The Redis client is closed when the application shuts down."""

from conftest import USER, FakeRedis


def test_redis_is_closed_at_shutdown(target):
    runner = target.module("app.workers.task_runner")
    with target.client():
        runner.set_task_state("t1", USER, "PROGRESS", {"current": 1})
        assert runner.get_task_state("t1")["state"] == "PROGRESS"
    assert FakeRedis.opened
    assert all(connection.closed for connection in FakeRedis.opened)


def test_shutdown_without_use_works(target):
    with target.client() as client:
        assert client.get("/health").status_code == 200
    assert all(connection.closed for connection in FakeRedis.opened)

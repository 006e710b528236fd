"""The front end receives how a task of the monitoring endpoints ended."""

import pytest
from conftest import USER
from stream_reader import read_events, understood


def follow(target, state, meta):
    runner = target.module("app.workers.task_runner")
    client = target.client()
    runner.set_task_state("t1", USER, state, meta)
    response = client.get("/api/v1/monitoring/tasks/t1/stream")
    assert response.status_code == 200
    return understood(read_events(response.text))


def test_success_arrives(target):
    seen = follow(target, "SUCCESS", {"draft_id": "d1", "shadow_id": "s1"})
    assert [kind for kind, _ in seen] == ["success"]
    assert seen[0][1]["draft_id"] == "d1"


def test_failure_arrives(target):
    seen = follow(target, "FAILURE", {"message": "The task failed"})
    assert [kind for kind, _ in seen] == ["error"]
    assert seen[0][1]["message"] == "The task failed"


def test_progress_and_expiry_arrive(target):
    runner = target.module("app.workers.task_runner")
    client = target.client()
    meta = {"current": 1, "total": 2, "message": "half"}
    runner.set_task_state("t1", USER, "PROGRESS", meta)
    module = target.module("app.api.v1.monitoring")
    states = [runner.get_task_state("t1"), runner.get_task_state("t1"), None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "get_task_state", lambda task_id: states.pop(0) if states else None)
        response = client.get("/api/v1/monitoring/tasks/t1/stream")
    seen = understood(read_events(response.text))
    assert [kind for kind, _ in seen] == ["progress", "error"]
    assert seen[0][1]["current"] == 1

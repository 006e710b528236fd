import sys
from types import ModuleType

from hidden_helpers import SIMPLE, STATS, auth, call, compatibility_endpoint, world  # noqa: F401

NAME = "simple_creator_system_stats_compatibility"


async def failing(*args, **kwargs):
    raise ConnectionError("statement timeout")


def test_a_failure_is_no_success(world, monkeypatch):  # noqa: F811
    main = world.load(with_query=False)
    broken = ModuleType(SIMPLE)
    broken.get_system_stats = failing
    monkeypatch.setitem(sys.modules, SIMPLE, broken)
    endpoint = compatibility_endpoint(main, NAME, STATS)
    if endpoint is not None:
        status, text = call(endpoint, None, None)
        assert status >= 500, (status, text)


def test_http(world, monkeypatch):  # noqa: F811
    from sqlalchemy.exc import OperationalError

    world.load(with_query=False)
    world.fill()

    def fail(*args, **kwargs):
        raise OperationalError("select count(*)", {}, Exception("statement timeout"))

    monkeypatch.setattr("app.services.stats_service._coverage", fail)
    response = world.client().get(STATS, headers=auth())
    assert response.status_code != 404, "the endpoint is gone"
    assert response.status_code >= 500
    assert '"total":0' not in response.text.replace(" ", "")


def test_normal_case(world):  # noqa: F811
    world.load()
    world.fill()
    body = world.client().get(STATS, headers=auth()).json()
    assert body["success"] is True
    assert body["stats"]["profiles"] == {"total": 2, "with_ai_analysis": 1, "ai_completion_rate": "50%"}

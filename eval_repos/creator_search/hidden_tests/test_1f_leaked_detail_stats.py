import sys
from types import ModuleType

from hidden_helpers import SIMPLE, STATS, auth, call, compatibility_endpoint, world  # noqa: F401

NAME = "simple_creator_system_stats_compatibility"


async def failing(*args, **kwargs):
    raise ConnectionError("could not connect to db-7.internal:5432 user=postgres")


def test_internal_errors_are_not_shown(world, monkeypatch):  # noqa: F811
    main = world.load(with_query=False)
    broken = ModuleType(SIMPLE)
    broken.get_system_stats = failing
    monkeypatch.setitem(sys.modules, SIMPLE, broken)
    endpoint = compatibility_endpoint(main, NAME, STATS)
    if endpoint is not None:
        _, text = call(endpoint, None, None)
        assert "db-7" not in text and "postgres" not in text
    world.fill()
    response = world.client().get(STATS, headers=auth())
    assert response.status_code != 404
    assert "db-7" not in response.text and "postgres" not in response.text


def test_normal_case(world):  # noqa: F811
    world.load()
    world.fill()
    assert world.client().get(STATS, headers=auth()).json()["stats"]["profiles"]["total"] == 2

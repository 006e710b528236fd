import sys
from types import ModuleType

from hidden_helpers import SIMPLE, UNLOCKED, auth, call, compatibility_endpoint, world  # noqa: F401

NAME = "simple_creator_unlocked_compatibility"


async def failing(*args, **kwargs):
    raise ConnectionError("statement timeout")


def test_a_failure_is_no_empty_list(world, monkeypatch):  # noqa: F811
    main = world.load(with_query=False)
    broken = ModuleType(SIMPLE)
    broken.get_unlocked_profiles = failing
    monkeypatch.setitem(sys.modules, SIMPLE, broken)
    endpoint = compatibility_endpoint(main, NAME, UNLOCKED)
    if endpoint is not None:
        status, text = call(endpoint, 1, 20, None, None)
        assert status >= 500, (status, text)


def test_http(world, monkeypatch):  # noqa: F811
    from sqlalchemy.exc import OperationalError

    world.load(with_query=False)
    world.fill()

    def fail(*args, **kwargs):
        raise OperationalError("select", {}, Exception("statement timeout"))

    monkeypatch.setattr("app.services.unlock_service.profile_summary", fail)
    response = world.client().get(UNLOCKED, headers=auth())
    assert response.status_code != 404, "the endpoint is gone"
    assert response.status_code >= 500


def test_normal_case(world):  # noqa: F811
    world.load()
    world.fill()
    body = world.client().get(UNLOCKED, headers=auth()).json()
    assert [profile["username"] for profile in body["profiles"]] == ["ada"]

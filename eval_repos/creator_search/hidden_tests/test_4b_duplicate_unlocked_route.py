from hidden_helpers import UNLOCKED, all_routes, auth, world  # noqa: F401


def test_registered_once(world):  # noqa: F811
    world.load()
    endpoints = [endpoint for method, path, endpoint in all_routes(world.main.app.routes)
                 if (method, path) == ("GET", UNLOCKED)]
    assert len(endpoints) == 1
    world.fill()
    body = world.client().get(UNLOCKED, headers=auth()).json()
    assert [profile["username"] for profile in body["profiles"]] == ["ada"]

from hidden_helpers import STATS, all_routes, auth, world  # noqa: F401


def test_registered_once(world):  # noqa: F811
    world.load()
    endpoints = [endpoint for method, path, endpoint in all_routes(world.main.app.routes)
                 if (method, path) == ("GET", STATS)]
    assert len(endpoints) == 1
    world.fill()
    body = world.client().get(STATS, headers=auth()).json()
    assert body["success"] is True and body["stats"]["profiles"]["total"] == 2

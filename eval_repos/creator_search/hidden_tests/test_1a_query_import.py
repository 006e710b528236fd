from hidden_helpers import SIMPLE, UNLOCKED, USER_ID, auth, world  # noqa: F401


def test_the_routes_work(world):  # noqa: F811
    import importlib

    world.load(with_query=False)
    module = importlib.import_module(SIMPLE)
    world.fill()
    app = world.main.FastAPI()
    app.include_router(module.router, prefix="/api/v1")
    world.main.app = app
    client = world.client()

    body = client.get(UNLOCKED, headers=auth()).json()
    assert body["success"] is True
    assert [profile["username"] for profile in body["profiles"]] == ["ada"]
    assert client.get(UNLOCKED, params={"page_size": 1, "page": 2}, headers=auth()).json()["profiles"] == []
    for bad in ({"page": 0}, {"page_size": 0}, {"page_size": 101}, {"page": "x"}):
        assert client.get(UNLOCKED, params=bad, headers=auth()).status_code == 422
    found = client.post("/api/v1/simple/creator/search", json={"term": "bo"}, headers=auth()).json()
    assert [profile["username"] for profile in found["profiles"]] == ["bob"]
    assert USER_ID

from hidden_helpers import auth, world  # noqa: F401


def test_exports_can_be_reached(world):  # noqa: F811
    world.load()
    world.fill()
    paths = [path for path in world.main.app.openapi()["paths"] if path.endswith(("unlocked.csv", "unlocked.jsonl"))]
    assert len(paths) == 2
    for path in paths:
        assert path.startswith("/api/v1/")
        response = world.client().get(path, headers=auth())
        assert response.status_code == 200
        assert "ada" in response.text
        assert world.client().get(path).status_code in (401, 403)

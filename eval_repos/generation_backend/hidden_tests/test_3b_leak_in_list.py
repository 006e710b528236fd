from hidden_helpers import URL, bearer, make_token, world  # noqa: F401


def test_internal_errors_are_not_shown(world, monkeypatch):  # noqa: F811
    async def fail(*args, **kwargs):
        raise ConnectionError("could not connect to db-7.internal:5432 user=postgres")

    monkeypatch.setattr(world.service, "list_generations", fail)
    response = world.client().get(URL, headers=bearer(make_token()))
    assert response.status_code >= 500
    assert "db-7" not in response.text and "postgres" not in response.text
    text = world.logs.text()
    assert "db-7" in text or "ConnectionError" in text or response.text == "Internal Server Error"


def test_list_works(world):  # noqa: F811
    response = world.client().get(URL, headers=bearer(make_token()))
    assert response.status_code == 200
    assert response.json()["items"] == []

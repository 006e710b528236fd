from errors import DatabaseUnavailableError
from hidden_helpers import REQUEST, URL, USER_ID, bearer, make_token, world  # noqa: F401


def post(world, **values):  # noqa: F811
    return world.client().post(URL, json={**REQUEST, **values}, headers=bearer(make_token()))


def test_mistakes_of_the_caller_are_not_outages(world):  # noqa: F811
    assert 400 <= post(world, model_id="fal-ai/nothing").status_code < 500
    assert 400 <= post(world, parameters={"nonsense": 1}).status_code < 500
    world.supabase.profile(USER_ID)["credits_balance"] = 1
    response = post(world)
    assert 400 <= response.status_code < 500
    assert "unavailable" not in response.text.lower()


def test_an_outage_is_still_an_outage(world, monkeypatch):  # noqa: F811
    async def fail(*args, **kwargs):
        raise DatabaseUnavailableError("pool of db-7 is exhausted")

    monkeypatch.setattr(world.service, "create_generation", fail)
    response = post(world)
    assert response.status_code == 503
    assert "db-7" not in response.text


def test_success(world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(world.service, "_start_processing", lambda *args, **kwargs: None, raising=False)
    assert post(world).status_code == 202

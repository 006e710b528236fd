from uuid import uuid4

from hidden_helpers import URL, bearer, make_token, world  # noqa: F401


def test_internal_errors_are_not_shown(world, monkeypatch):  # noqa: F811
    async def fail(*args, **kwargs):
        raise ConnectionError("could not connect to db-7.internal:5432 user=postgres")

    monkeypatch.setattr(world.service, "delete_generation", fail)
    response = world.client().delete(f"{URL}/{uuid4()}", headers=bearer(make_token()))
    assert response.status_code >= 500
    assert "db-7" not in response.text and "postgres" not in response.text


def test_domain_errors_keep_their_answers(world):  # noqa: F811
    response = world.client().delete(f"{URL}/{uuid4()}", headers=bearer(make_token()))
    assert response.status_code == 404
    assert response.json()["detail"]

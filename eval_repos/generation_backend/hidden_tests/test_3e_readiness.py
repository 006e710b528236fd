import asyncio

import pytest
from fastapi import HTTPException
from hidden_helpers import REQUEST, URL, bearer, make_token, world  # noqa: F401


def test_missing_database_is_reported_as_such(world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(world.db, "client", None)
    with pytest.raises(Exception) as caught:
        asyncio.run(world.create())
    assert not isinstance(caught.value, (AttributeError, TypeError, NameError))
    assert "NoneType" not in str(caught.value)
    if isinstance(caught.value, HTTPException):
        assert caught.value.status_code == 503


def test_http_answer(world, monkeypatch):  # noqa: F811
    from middleware.auth import get_current_user
    from models.user import CurrentUser

    monkeypatch.setitem(
        world.app.dependency_overrides, get_current_user, lambda: CurrentUser(id="u", email="ada@example.com")
    )
    monkeypatch.setattr(world.db, "client", None)
    response = world.client().post(URL, json=REQUEST, headers=bearer(make_token()))
    assert response.status_code == 503


def test_normal_case(world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(world.service, "_start_processing", lambda *args, **kwargs: None, raising=False)
    created = asyncio.run(world.create())
    assert world.row(created.id)["status"] == "pending"

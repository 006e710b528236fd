import httpx
import pytest

from app.core.config import Settings
from app.database.models import Profile, User
from app.services import analysis_client
from app.services.unlock_service import list_unlocked, unlock_profile
from app.services.search_service import get_profile


def test_locked_profile_shows_no_posts(client, user, auth, creators):
    body = client.get("/api/v1/profiles/ada_codes", headers=auth).json()
    assert body["followers_count"] == 1000
    assert body["unlocked"] is False and body["posts"] == [] and body["top_post"] is None


def test_unlock_costs_credits_once(client, user, auth, creators, session):
    first = client.post("/api/v1/profiles/ada_codes/unlock", headers=auth)
    again = client.post("/api/v1/profiles/ada_codes/unlock", headers=auth)
    assert first.json()["newly_unlocked"] is True
    assert again.json()["newly_unlocked"] is False
    assert session.get(User, user).credits == 35
    body = client.get("/api/v1/profiles/ada_codes", headers=auth).json()
    assert body["top_post"]["caption"] == "two" and len(body["posts"]) == 2


def test_unlock_without_credits(client, user, auth, creators, session):
    session.get(User, user).credits = 10
    session.commit()
    assert client.post("/api/v1/profiles/bob/unlock", headers=auth).status_code == 402
    assert session.get(User, user, populate_existing=True).credits == 10


def test_unknown_profile(client, user, auth):
    assert client.get("/api/v1/profiles/nobody", headers=auth).status_code == 404
    assert client.post("/api/v1/profiles/nobody/unlock", headers=auth).status_code == 404


def test_list_of_unlocked_profiles(user, creators, session):
    for name in ("ada_codes", "bob"):
        assert unlock_profile(session, user, get_profile(session, name))
    page = list_unlocked(session, user, page=1, page_size=1)
    assert page["pagination"]["total"] == 2
    assert [profile["username"] for profile in page["profiles"]] == ["bob"]


def test_unlocking_asks_for_an_analysis(client, user, auth, creators, monkeypatch):
    asked = []
    monkeypatch.setattr("app.api.profile_routes.request_analysis", asked.append)
    client.post("/api/v1/profiles/bob/unlock", headers=auth)
    client.post("/api/v1/profiles/ada_codes/unlock", headers=auth)
    assert asked == ["bob"]


def _analysis(monkeypatch, answer):
    settings = Settings(database_url="", supabase_jwt_secret="", analysis_url="https://analysis.test")
    monkeypatch.setattr(analysis_client, "get_settings", lambda: settings)
    monkeypatch.setattr(httpx, "HTTPTransport", lambda retries: httpx.MockTransport(answer))


def test_analysis_is_accepted(monkeypatch):
    _analysis(monkeypatch, lambda request: httpx.Response(202, json={"job": 7}))
    assert analysis_client.request_analysis("bob") == {"job": 7}


def test_analysis_is_down(monkeypatch):
    _analysis(monkeypatch, lambda request: httpx.Response(500))
    with pytest.raises(analysis_client.AnalysisUnavailableError):
        analysis_client.request_analysis("bob")


def test_analysis_is_switched_off():
    assert analysis_client.request_analysis("bob") is None


def test_analysis_that_fails_does_not_break_the_unlock(client, user, auth, creators, monkeypatch):
    def fail(username):
        raise analysis_client.AnalysisUnavailableError(username)

    monkeypatch.setattr("app.api.profile_routes.request_analysis", fail)
    assert client.post("/api/v1/profiles/bob/unlock", headers=auth).status_code == 200


def test_same_profile_is_found_by_name(creators, session):
    assert isinstance(get_profile(session, "bob"), Profile)
    assert get_profile(session, "BOB") is None

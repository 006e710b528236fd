from types import SimpleNamespace
from uuid import uuid4

import pytest

from conftest import USER_ID

ME = "/api/v1/auth/me"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_signed_token_gives_the_user(client, auth):
    response = client.get(ME, headers=auth)
    assert response.status_code == 200
    assert response.json()["id"] == USER_ID


def test_missing_token(client):
    assert client.get(ME).status_code == 401


@pytest.mark.parametrize("token", ["garbage", "a.b.c", f"supabase_token_{uuid4()}", "supabase_token_"])
def test_worthless_tokens(client, token):
    assert client.get(ME, headers=bearer(token)).status_code == 401


def test_wrong_signature(client, make_token):
    assert client.get(ME, headers=bearer(make_token(secret="x" * 40))).status_code == 401


def test_expired_token(client, make_token):
    response = client.get(ME, headers=bearer(make_token(lifetime=-10)))
    assert response.status_code == 401
    assert response.json()["detail"] == "Token has expired"


def test_rotated_key_is_still_accepted(client, make_token):
    token = make_token(secret="previous-secret-with-enough-characters", headers={"kid": "old"})
    assert client.get(ME, headers=bearer(token)).status_code == 200


def test_unknown_key_id(client, make_token):
    assert client.get(ME, headers=bearer(make_token(headers={"kid": "mine"}))).status_code == 401


def test_wrong_audience(client, make_token):
    assert client.get(ME, headers=bearer(make_token(aud="anon"))).status_code == 401


def test_disabled_account(client, supabase, auth):
    supabase.profile(USER_ID)["is_active"] = False
    assert client.get(ME, headers=auth).status_code == 403


def test_login(client, supabase, make_token):
    supabase.users["ada@example.com", "correct horse"] = SimpleNamespace(
        access_token=make_token(), token_type="bearer", expires_in=3600, user=SimpleNamespace(id=USER_ID)
    )
    response = client.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": "correct horse"})
    assert response.status_code == 200
    assert client.get(ME, headers=bearer(response.json()["access_token"])).status_code == 200


def test_login_with_wrong_password(client):
    response = client.post("/api/v1/auth/login", json={"email": "ada@example.com", "password": "wrong horse"})
    assert response.status_code == 401

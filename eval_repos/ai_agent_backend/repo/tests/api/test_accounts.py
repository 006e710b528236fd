from datetime import timedelta

import jwt
import pytest
from fastapi import HTTPException

from app import auth
from app.models import Plan, UserRecord

USER = UserRecord(id=7, email="ada@example.org", password_hash="x")
SECRET = "s" * 40


def test_register_login_and_profile(client, login, events):
    headers = login("Ada@Example.org")
    assert client.get("/me", headers=headers).json() == {"id": 1, "email": "ada@example.org", "plan": "free"}
    assert [event for event, _ in events] == ["registered"]


def test_address_can_be_used_once(client, login):
    login()
    answer = client.post("/auth/register", json={"email": "ADA@example.org", "password": "another one"})
    assert answer.status_code == 409


def test_bad_addresses_and_short_passwords_are_refused(client):
    for email in ("nobody", "a b@example.org", "@example"):
        assert client.post("/auth/register", json={"email": email, "password": "long enough"}).status_code == 422
    assert client.post("/auth/register", json={"email": "a@example.org", "password": "short"}).status_code == 422


def test_wrong_password(client, login):
    login()
    answer = client.post("/auth/login", json={"email": "ada@example.org", "password": "wrong horse"})
    assert answer.status_code == 401


def test_no_token_and_bad_token(client):
    assert client.get("/me").status_code == 401
    assert client.get("/me", headers={"Authorization": "Bearer abc"}).status_code == 401


def test_token_round_trip():
    token = auth.create_access_token(USER, SECRET, 60)
    assert auth.read_access_token(token, SECRET) == 7
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert timedelta(seconds=claims["exp"] - claims["iat"]) == timedelta(hours=1)


def test_foreign_expired_and_endless_tokens():
    foreign = auth.create_access_token(USER, "t" * 40, 5)
    expired = auth.create_access_token(USER, SECRET, -5)
    for token in (foreign, expired, jwt.encode({"sub": "7"}, SECRET)):
        with pytest.raises(HTTPException) as caught:
            auth.read_access_token(token, SECRET)
        assert caught.value.status_code == 401


def test_scopes_of_plans(client, login):
    free = login("free@example.org")
    pro = login("pro@example.org", Plan.PRO)
    body = {"title": "Holiday", "clips": ["missing.mp4"]}
    assert client.post("/videos", json=body, headers=free).status_code == 403
    assert client.post("/videos", json=body, headers=pro).status_code == 404


def test_dependencies_of_the_image(client):
    passwords = client.get("/health/dependencies").json()["passwords"]
    assert passwords["scheme"] == "bcrypt"


def test_login_is_limited(client):
    body = {"email": "ada@example.org", "password": "wrong horse"}
    codes = [client.post("/auth/login", json=body).status_code for _ in range(21)]
    assert codes[0] == 401 and codes[-1] == 429

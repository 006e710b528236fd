import pytest
from sqlalchemy import select

from app.core.clock import utcnow
from app.database.models import User
from app.services import supabase_auth_service as module
from app.services.supabase_auth_service import InvalidTokenError, supabase_auth_service
from conftest import EMAIL, USER_ID

ME = "/api/v1/profiles/me"


def test_first_request_creates_the_user(client, auth, session):
    assert client.get(ME, headers=auth).json()["email"] == EMAIL
    user = session.get(User, USER_ID)
    assert (user.full_name, user.status, user.credits) == ("Grace", "active", 0)
    assert user.last_seen_at is not None


def test_changed_email_arrives(client, make_token, session):
    session.add(User(id="moved", email="old@example.com", created_at=utcnow()))
    session.commit()
    headers = {"Authorization": f"Bearer {make_token(user_id='moved', email='hopper@example.com')}"}
    assert client.get(ME, headers=headers).status_code == 200
    assert session.get(User, "moved", populate_existing=True).email == "hopper@example.com"


def test_many_requests_are_one_user(client, auth, session):
    for _ in range(3):
        assert client.get(ME, headers=auth).status_code == 200
    assert len(session.scalars(select(User)).all()) == 1


def test_user_that_was_deleted_comes_back(client, auth, session):
    client.get(ME, headers=auth)
    session.delete(session.get(User, USER_ID))
    session.commit()
    assert client.get(ME, headers=auth).status_code == 200


def test_needs_a_token(client):
    assert client.get(ME).status_code in (401, 403)


@pytest.mark.parametrize("change", [{"lifetime": -5}, {"secret": "x" * 40}, {"aud": "anon"}])
def test_bad_tokens(client, make_token, change):
    token = make_token(**change)
    assert client.get(ME, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with pytest.raises(InvalidTokenError):
        supabase_auth_service.verify_token(token)


def test_suspended_account(client, user, auth, session):
    session.get(User, user).status = "suspended"
    session.commit()
    assert client.get(ME, headers=auth).status_code == 403


def test_sync_without_a_name(session):
    user = supabase_auth_service.sync_user(module.SupabaseUser(id="u-1", email="x@example.com"), session)
    assert user.full_name is None
    assert module.USER_SYNC_TTL > 0

"""The dashboard calls these since version 1; they were missing in the December release."""
import pytest
from sqlalchemy.exc import OperationalError

from app.services import stats_service, unlock_service

PATHS = ["/api/v1/simple/creator/system/stats", "/api/v1/simple/creator/unlocked"]


@pytest.mark.parametrize("path", PATHS)
def test_endpoint_is_there(client, auth, creators, path):
    response = client.get(path, headers=auth)
    assert response.status_code != 404


@pytest.mark.parametrize("path", PATHS)
def test_endpoint_needs_a_user(client, path):
    assert client.get(path).status_code in (401, 403)


def test_page_numbers_are_checked(client, auth):
    assert client.get(PATHS[1], params={"page": 0}, headers=auth).status_code == 422


@pytest.mark.parametrize("path", PATHS)
def test_database_details_stay_inside(client, auth, monkeypatch, path):
    def fail(*args, **kwargs):
        raise OperationalError("select 1", {}, Exception("db-7.internal refused"))

    monkeypatch.setattr(stats_service, "_coverage", fail)
    monkeypatch.setattr(unlock_service, "profile_summary", fail)
    assert "db-7" not in client.get(path, headers=auth).text

from uuid import uuid4

import pytest

from conftest import USER_ID
from errors import DatabaseUnavailableError
from services.generation_service import generation_service

URL = "/api/v1/generations"
REQUEST = {"model_id": "fal-ai/flux/dev", "prompt": "a lighthouse at dusk", "num_outputs": 2}


@pytest.fixture
def started(monkeypatch):
    calls = []
    monkeypatch.setattr(generation_service, "_start_processing", lambda *args: calls.append(args))
    return calls


def store(supabase, **values):
    row = {
        "id": str(uuid4()), "user_id": USER_ID, "model_id": "fal-ai/flux/dev", "prompt": "a lighthouse",
        "status": "completed", "cost": 3, "media_paths": [], "error_message": None, "processing_seconds": 4.2,
        "created_at": "2025-08-01T10:00:00+00:00", "completed_at": "2025-08-01T10:00:04+00:00", **values,
    }
    supabase.tables.setdefault("generations", []).append(row)
    return row


def test_accepted_and_charged(client, supabase, auth, started):
    response = client.post(URL, json=REQUEST, headers=auth)
    assert response.status_code == 202
    assert response.json()["status"] == "pending"
    assert response.json()["cost"] == 6
    assert supabase.profile(USER_ID)["credits_balance"] == 94
    assert len(started) == 1


def test_too_few_credits_changes_nothing(client, supabase, auth, started):
    supabase.profile(USER_ID)["credits_balance"] = 5
    response = client.post(URL, json=REQUEST, headers=auth)
    assert response.status_code >= 400
    assert supabase.profile(USER_ID)["credits_balance"] == 5
    assert supabase.tables["generations"] == []
    assert started == []


def test_database_outage(client, auth, monkeypatch):
    async def fail(*args):
        raise DatabaseUnavailableError("connection pool is exhausted")

    monkeypatch.setattr(generation_service, "create_generation", fail)
    response = client.post(URL, json=REQUEST, headers=auth)
    assert response.status_code == 503
    assert "exhausted" not in response.text


@pytest.mark.parametrize(
    "change", [{"prompt": ""}, {"num_outputs": 9}, {"reference_image_url": "file:///etc/passwd"}]
)
def test_invalid_requests(client, auth, change):
    assert client.post(URL, json={**REQUEST, **change}, headers=auth).status_code == 422


def test_needs_a_user(client):
    assert client.post(URL, json=REQUEST).status_code == 401


def test_models(client):
    models = client.get(f"{URL}/models").json()
    assert {model["kind"] for model in models} == {"image", "video"}
    assert all(model["credits"] > 0 for model in models)


def test_list_is_paged_newest_first(client, supabase, auth):
    for day in range(1, 6):
        store(supabase, created_at=f"2025-08-0{day}T10:00:00+00:00", prompt=f"day {day}")
    store(supabase, user_id=str(uuid4()))
    page = client.get(URL, params={"offset": 1, "limit": 2}, headers=auth).json()
    assert [item["prompt"] for item in page["items"]] == ["day 4", "day 3"]


def test_failing_list(client, auth, monkeypatch):
    async def fail(*args):
        raise ConnectionError("db-7.internal:5432 refused")

    monkeypatch.setattr(generation_service, "list_generations", fail)
    assert client.get(URL, headers=auth).status_code == 500


def test_get_one(client, supabase, auth):
    row = store(supabase)
    assert client.get(f"{URL}/{row['id']}", headers=auth).json()["id"] == row["id"]


def test_other_users_generations_are_hidden(client, supabase, auth):
    row = store(supabase, user_id=str(uuid4()))
    assert client.get(f"{URL}/{row['id']}", headers=auth).status_code == 404
    assert client.delete(f"{URL}/{row['id']}", headers=auth).status_code == 404


def test_media_urls(client, supabase, auth):
    row = store(supabase, media_paths=["u/g/0.png"])
    urls = client.get(f"{URL}/{row['id']}/media", headers=auth).json()["urls"]
    assert urls == ["https://cdn.test/u/g/0.png?expires=3600"]
    empty = store(supabase)
    assert client.get(f"{URL}/{empty['id']}/media", headers=auth).json()["urls"] == []


def test_delete_removes_row_and_files(client, supabase, auth):
    row = store(supabase, media_paths=["u/g/0.png", "u/g/1.png"])
    supabase.files.update({"u/g/0.png": b"0", "u/g/1.png": b"1"})
    assert client.delete(f"{URL}/{row['id']}", headers=auth).status_code == 204
    assert supabase.files == {}
    assert supabase.tables["generations"] == []


def test_running_generation_is_not_deleted(client, supabase, auth):
    row = store(supabase, status="processing")
    assert client.delete(f"{URL}/{row['id']}", headers=auth).status_code == 409


def test_failing_delete(client, supabase, auth, monkeypatch):
    async def fail(*args):
        raise ConnectionError("refused")

    monkeypatch.setattr(generation_service, "delete_generation", fail)
    assert client.delete(f"{URL}/{uuid4()}", headers=auth).status_code == 500

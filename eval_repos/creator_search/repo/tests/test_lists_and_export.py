import csv
import io
import json

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api import export_routes
from app.core import serialization
from app.core.clock import utcnow
from app.services.search_service import get_profile
from app.services.unlock_service import unlock_profile

LISTS = "/api/v1/lists"


def test_list_lifecycle(client, user, auth, creators):
    created = client.post(LISTS, json={"name": "spring"}, headers=auth)
    assert created.status_code == 201
    url = f"{LISTS}/{created.json()['id']}"
    for _ in range(2):
        assert client.post(f"{url}/items", json={"username": "bob"}, headers=auth).status_code == 204
    assert [profile["username"] for profile in client.get(url, headers=auth).json()["profiles"]] == ["bob"]
    assert [item["name"] for item in client.get(LISTS, headers=auth).json()] == ["spring"]


def test_names_are_unique(client, user, auth):
    assert client.post(LISTS, json={"name": "spring"}, headers=auth).status_code == 201
    assert client.post(LISTS, json={"name": "spring"}, headers=auth).status_code == 409


def test_lists_of_others(client, user, auth, make_token, creators):
    url = f"{LISTS}/{client.post(LISTS, json={'name': 'mine'}, headers=auth).json()['id']}"
    other = {"Authorization": f"Bearer {make_token(user_id='other', email='o@example.com')}"}
    assert client.get(url, headers=other).status_code == 404
    assert client.post(f"{url}/items", json={"username": "bob"}, headers=other).status_code == 404


def test_unknown_creator(client, user, auth):
    url = f"{LISTS}/{client.post(LISTS, json={'name': 'mine'}, headers=auth).json()['id']}"
    assert client.post(f"{url}/items", json={"username": "nobody"}, headers=auth).status_code == 404


@pytest.fixture
def export(user, creators, session, auth):
    for name in ("=cmd", "ada_codes"):
        unlock_profile(session, user, get_profile(session, name))
    app = FastAPI()
    app.include_router(export_routes.router)
    client = TestClient(app)
    return lambda name: client.get(f"/simple/creator/export/{name}", headers=auth)


def test_csv(export):
    rows = list(csv.DictReader(io.StringIO(export("unlocked.csv").text)))
    assert [row["username"] for row in rows] == ["'=cmd", "ada_codes"]
    assert rows[1]["followers_count"] == "1000"


def test_json_lines(export):
    lines = [json.loads(line) for line in export("unlocked.jsonl").text.splitlines()]
    assert [line["username"] for line in lines] == ["=cmd", "ada_codes"]


def test_unknown_types_are_not_exported(monkeypatch):
    monkeypatch.setattr(serialization, "orjson", None)
    assert json.loads(serialization.dump_line({"at": utcnow()}))["at"].endswith("+00:00")
    with pytest.raises(TypeError):
        serialization.dump_line({"value": object()})

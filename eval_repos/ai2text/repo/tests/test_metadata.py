import os
import time
import uuid
from datetime import datetime, timezone

import psycopg2
import pytest
from exports import ExportStore
from fastapi.testclient import TestClient
from search import SearchQuery, parse_day

RECORDING = "5f0c9a9e-0000-4000-8000-000000000001"
ROW = {
    "id": RECORDING,
    "object_key": "2025/01/02/a.wav",
    "source": "inbox",
    "original_name": "a.wav",
    "duration_seconds": 12.5,
    "status": "transcribed",
    "transcript": "xin chào",
    "created_at": datetime(2025, 1, 2, tzinfo=timezone.utc),
}
NEW = {key: ROW[key] for key in ("id", "object_key", "source", "original_name", "duration_seconds")}


@pytest.fixture
def api(load):
    return TestClient(load("metadata/app.py").app)


def corrections(api, text, content_type="text/csv"):
    files = {"file": ("c.csv", text.encode(), content_type)}
    return api.post("/corrections", headers={"x-user-id": "lan"}, files=files)


def test_recording_is_created_with_an_event(api, db):
    db.answer("INSERT INTO recordings", [{"id": RECORDING}])
    answer = api.post("/recordings", json=NEW)
    assert (answer.status_code, answer.json()) == (201, {"id": RECORDING, "created": True})
    assert db.sent("INSERT INTO recordings") == [(RECORDING, "2025/01/02/a.wav", "inbox", "a.wav", 12.5)]
    assert db.sent("INSERT INTO recording_events") == [(RECORDING, "created", "ingestion")]
    assert sum(connection.commits for connection in db.connections) >= 1
    db.script.clear()
    assert api.post("/recordings", json=NEW).json()["created"] is False
    assert len(db.sent("INSERT INTO recording_events")) == 1


def test_failure_leaves_nothing_half_done(api, db):
    db.answer("INSERT INTO recordings", [{"id": RECORDING}])
    db.answer("INSERT INTO recording_events", psycopg2.OperationalError("server closed the connection"))
    with pytest.raises(psycopg2.OperationalError):
        api.post("/recordings", json=NEW)
    assert sum(connection.commits for connection in db.connections) == 0


def test_recordings_are_listed(api, db):
    db.answer("count(*) AS total", [{"total": 31}])
    db.answer("ORDER BY", [ROW])
    answer = api.get("/recordings", params={"status": "transcribed", "order": "longest", "limit": 1})
    assert answer.json()["total"] == 31
    assert answer.json()["items"][0]["transcript"] == "xin chào"
    assert db.sent("ORDER BY duration_seconds DESC") == [["transcribed", 1, 0]]


def test_search_is_checked(api, db):
    for query in ("status=gone", "order=id;drop", "limit=0", "since=2025-13-01", "text=x"):
        assert api.get(f"/recordings?{query}").status_code == 422, query
    assert db.statements == []


def test_search_conditions():
    search = SearchQuery(source="inbox", text="50%_", since="2025-01-01", until="2025-01-31")
    sql, params = search.count()
    assert sql.count("%s") == len(params) == 4
    assert params[1] == "%50\\%\\_%"
    assert params[2:] == [parse_day("2025-01-01"), parse_day("2025-02-01")]


def test_one_recording(api, db):
    assert api.get(f"/recordings/{RECORDING}").status_code == 404
    db.answer("WHERE id =", [ROW])
    assert api.get(f"/recordings/{RECORDING}").json()["duration_seconds"] == 12.5
    assert all(connection.closed for connection in db.connections)


def test_transcript_is_stored(api, db):
    db.answer("UPDATE recordings", [{}])
    answer = api.put(f"/recordings/{RECORDING}/transcript", json={"text": "xin chào", "model": "small"})
    assert answer.status_code == 204
    assert db.sent("INSERT INTO recording_events") == [(RECORDING, "transcribed", "asr")]


def test_reviewed_transcript_is_kept(api, db):
    db.answer("SELECT status", [{"status": "reviewed"}])
    assert api.put(f"/recordings/{RECORDING}/transcript", json={"text": "x", "model": "small"}).status_code == 204
    assert db.sent("INSERT INTO recording_events") == []
    db.script.clear()
    assert api.put(f"/recordings/{RECORDING}/transcript", json={"text": "x", "model": "small"}).status_code == 404


def test_corrections_are_imported(api, db):
    db.answer("UPDATE recordings", [{}])
    answer = corrections(api, f"recording_id,transcript\n{RECORDING},Chào bạn\n")
    assert answer.json() == {"corrected": 1}
    assert db.sent("UPDATE recordings") == [("Chào bạn", "lan", RECORDING)]
    (connection,) = db.connections
    assert (connection.commits, connection.closed) == (1, 1)


def test_corrections_are_all_or_nothing(api, db):
    answer = corrections(api, f"recording_id,transcript\n{RECORDING},Chào bạn\n")
    assert answer.json()["detail"] == {"unknown_recordings": [RECORDING]}
    (connection,) = db.connections
    assert (connection.commits, connection.rollbacks, connection.closed) == (0, 1, 1)


def test_bad_corrections(api, db):
    for text, content_type, status in (
        ("recording_id,transcript\nx,y\n", "text/csv", 422),
        ("id,text\n1,2\n", "text/csv", 422),
        ("", "text/csv", 422),
        ("recording_id,transcript\n", "application/zip", 415),
        ("x" * (2 * 1024 * 1024 + 1), "text/csv", 413),
    ):
        assert corrections(api, text, content_type).status_code == status, text[:40]
    assert db.statements == []


def test_stats(api, db):
    assert api.get("/stats").json() == {"by_status": {}, "reviewed_share": 0.0}
    db.answer("GROUP BY status", [
        {"status": "new", "recordings": 3, "seconds": 5400.0},
        {"status": "reviewed", "recordings": 1, "seconds": 360.0},
    ])
    assert api.get("/stats").json() == {
        "by_status": {"new": {"recordings": 3, "hours": 1.5}, "reviewed": {"recordings": 1, "hours": 0.1}},
        "reviewed_share": 0.25,
    }


def test_export_can_be_fetched(api, db):
    assert api.get("/health").json()["status"] == "healthy"
    db.answer("SELECT id, object_key, transcript", [ROW])
    name = api.post("/exports").json()["name"]
    assert "xin chào" in api.get(f"/exports/{name}").text
    assert api.get("/exports/..%2F..%2Fpasswd").status_code == 404
    assert api.get(f"/exports/{uuid.uuid4()}.csv").status_code == 404


def test_failed_export_leaves_no_file(tmp_path):
    def rows():
        yield {"id": 1}
        raise psycopg2.OperationalError("gone")

    with pytest.raises(psycopg2.OperationalError):
        ExportStore(tmp_path).write(("id",), rows())
    assert list(tmp_path.iterdir()) == []


def test_old_exports_are_removed(tmp_path):
    exports = ExportStore(tmp_path, max_age=60)
    old, new = exports.write(("id",), [{"id": 1}]), exports.write(("id",), [{"id": 2}])
    os.utime(tmp_path / old, (time.time() - 120, time.time() - 120))
    assert exports.remove_old() == 1
    assert exports.find(old) is None and exports.find(new) is not None

import json
import subprocess
import sys

import fakes
from conftest import PNG

from app.models import Plan

MP4 = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 100


def upload(client, headers, name, data, mime="application/octet-stream", path="/documents"):
    return client.post(path, files={"file": (name, data, mime)}, headers=headers)


def test_document_can_be_listed_and_read(client, login, supabase, events):
    headers = login()
    answer = upload(client, headers, "notes.txt", b"some notes")
    assert answer.status_code == 201
    stored = answer.json()["path"]
    assert [entry["title"] for entry in client.get("/documents", headers=headers).json()] == ["notes"]
    assert client.get(f"/files/{stored}", headers=headers).content == b"some notes"
    assert ("POST", f"/storage/v1/object/uploads/{stored}", b"some notes") in supabase.requests
    assert events[-1][1]["properties"]["bytes"] == 10


def test_documents_are_private(client, login):
    stored = upload(client, login(), "notes.txt", b"some notes").json()["path"]
    other = login("eve@example.org")
    assert client.get(f"/files/{stored}", headers=other).status_code == 404
    assert client.get("/files/2/nothing.txt", headers=other).status_code == 404


def test_programs_and_false_names_are_refused(client, login):
    headers = login()
    assert upload(client, headers, "tool.exe", b"MZ\x00\x00").status_code == 415
    assert upload(client, headers, "fake.pdf", b"not a pdf").status_code == 415
    assert upload(client, headers, "image.txt", PNG).status_code == 415


def test_large_documents_are_refused(client, login):
    assert upload(client, login(), "large.txt", b"x" * (1024 * 1024 + 1)).status_code == 413


def test_copy_that_fails_shows_in_health(client, login, supabase):
    headers = login()
    supabase.storage_status = 507
    assert upload(client, headers, "notes.txt", b"some notes").status_code == 201
    assert client.get("/health").json()["degraded"] == ["storage"]
    supabase.storage_status = 200
    upload(client, headers, "more.txt", b"more notes")
    assert client.get("/health").json()["degraded"] == []


def test_avatar(client, login):
    headers = login()
    answer = client.put("/me/avatar", files={"file": ("me.png", PNG, "image/png")}, headers=headers)
    assert answer.status_code == 200
    assert client.get(f"/files/{answer.json()['path']}", headers=headers).content == PNG


def test_video_job(client, login, settings, monkeypatch):
    def run(command, **options):
        with open(command[-1], "wb") as sink:
            sink.write(b"jpeg")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    headers = login(plan=Plan.PRO)
    for name in ("one.mp4", "two.mp4"):
        assert upload(client, headers, name, MP4, path="/clips").json() == {"clip": name}
    assert upload(client, headers, "..", MP4, path="/clips").status_code == 422
    answer = client.post("/videos", json={"title": "Été à la mer", "clips": ["one.mp4", "two.mp4"]}, headers=headers)
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert job_id.startswith("ete-a-la-mer-") and answer.json()["seconds"] == 20.0
    job = json.loads((settings.video_jobs_dir / f"{job_id}.json").read_text())
    assert len(job["clips"]) == 2
    assert [path.name for path in settings.video_jobs_dir.iterdir()] == [f"{job_id}.json"]
    assert (settings.upload_dir / "1" / f"{job_id}.jpg").read_bytes() == b"jpeg"


def test_video_too_long(client, login, monkeypatch):
    monkeypatch.setitem(fakes.VideoFileClip.durations, "long.mp4", 500.0)
    headers = login(plan=Plan.PRO)
    upload(client, headers, "long.mp4", MP4, path="/clips").raise_for_status()
    assert client.post("/videos", json={"title": "Long", "clips": ["long.mp4"]}, headers=headers).status_code == 422


def test_video_jobs_can_be_switched_off(client, login, monkeypatch):
    monkeypatch.setattr(client.app.state.flags, "_client", sys.modules["posthog"].Posthog("key"))
    client.app.state.flags._client.answers["video-jobs"] = False
    headers = login(plan=Plan.PRO)
    assert client.post("/videos", json={"title": "Off", "clips": ["a.mp4"]}, headers=headers).status_code == 503

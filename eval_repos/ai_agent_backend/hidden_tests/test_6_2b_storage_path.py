from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["../../escape.txt", "../../../escape.txt", "a/../../../escape.txt"])
def test_upload_stays_inside(service, tools, tmp_path, name):
    client = service().client
    client.app.state.supabase.upload = lambda *args, **options: None
    client.post("/documents", files={"file": (name, b"some text", "text/plain")}, headers=tools.sign_in(client))
    uploads = Path(client.app.state.settings.upload_dir).resolve()
    outside = [path for path in tmp_path.rglob("*escape*") if not path.resolve().is_relative_to(uploads)]
    assert outside == []


def test_absolute_name(service, tools, tmp_path):
    client = service().client
    client.app.state.supabase.upload = lambda *args, **options: None
    files = {"file": (f"/{tmp_path}/absolute.txt", b"some text", "text/plain")}
    client.post("/documents", files=files, headers=tools.sign_in(client))
    assert not (tmp_path / "absolute.txt").exists()


def test_ordinary_upload(service, tools):
    client = service().client
    client.app.state.supabase.upload = lambda *args, **options: None
    headers = tools.sign_in(client)
    answer = client.post("/documents", files={"file": ("notes.txt", b"some text", "text/plain")}, headers=headers)
    assert answer.status_code == 201
    assert client.get(f"/files/{answer.json()['path']}", headers=headers).content == b"some text"

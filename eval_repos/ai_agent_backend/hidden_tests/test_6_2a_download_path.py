from pathlib import Path

import pytest


@pytest.fixture
def place(service, tools, tmp_path):
    client = service().client
    client.app.state.supabase.upload = lambda *args, **options: None
    uploads = Path(client.app.state.settings.upload_dir)
    for folder in ("1", "2"):
        (uploads / folder).mkdir(parents=True, exist_ok=True)
    (uploads.parent / "secret.txt").write_text("secret")
    (uploads / "1" / "mine.txt").write_text("mine")
    (tmp_path / "secret.txt").write_text("secret")
    headers = tools.sign_in(client)
    return lambda name: client.get(f"/files/{name}", headers=headers)


@pytest.mark.parametrize(
    "name", ["1/..%2F..%2Fsecret.txt", "1/%2e%2e/%2e%2e/secret.txt", "1/..%2F..%2F..%2Fsecret.txt", "1/x/..%2F..%2F..%2Fsecret.txt"]
)
def test_files_outside_stay_outside(place, name):
    answer = place(name)
    assert answer.status_code != 200
    assert "secret" not in answer.text


def test_own_file(place):
    assert place("1/mine.txt").text == "mine"
    assert place("1/none.txt").status_code == 404

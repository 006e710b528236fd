import pytest


@pytest.fixture
def put(service, tools):
    client = service().client
    client.app.state.supabase.upload = lambda *args, **options: None
    headers = tools.sign_in(client)
    return lambda name, data, mime: client.put("/me/avatar", files={"file": (name, data, mime)}, headers=headers)


def test_picture_is_taken(put, tools):
    assert put("me.png", tools.png, "image/png").status_code in (200, 201, 204)


@pytest.mark.parametrize(
    "name, data, mime",
    [
        ("tool.exe", b"MZ" + b"\x00" * 200, "application/x-msdownload"),
        ("page.html", b"<script>alert(1)</script>", "text/html"),
        ("fake.png", b"MZ" + b"\x00" * 200, "image/png"),
        ("fake.png", b"<html><script>alert(1)</script></html>", "image/png"),
    ],
)
def test_other_things_are_refused(put, name, data, mime):
    assert 400 <= put(name, data, mime).status_code < 500


def test_huge_picture_is_refused(put, tools):
    assert 400 <= put("me.png", tools.png + b"\x00" * (30 * 1024 * 1024), "image/png").status_code < 500

import io

import httpx
import pytest
import requests
from hidden_helpers import world  # noqa: F401


def finite(timeout):
    parts = timeout if isinstance(timeout, tuple) else (timeout,)
    return all(isinstance(part, (int, float)) and 0 < part <= 3600 for part in parts)


def test_every_download_is_bounded(world, monkeypatch):  # noqa: F811
    import services.storage_service as storage_module

    monkeypatch.undo()
    seen = []

    def send(self, request, **options):
        seen.append((request.method, options.get("timeout")))
        response = requests.Response()
        response.status_code = 200
        response.headers["Content-Type"] = "image/png"
        response.headers["Content-Length"] = "4"
        response.raw = io.BytesIO(b"data")
        response.request, response.url = request, request.url
        return response

    def handle(self, request):
        limits = request.extensions.get("timeout") or {}
        seen.append((request.method, limits.get("read")))
        return httpx.Response(200, headers={"Content-Type": "image/png"}, content=b"data")

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    target = io.BytesIO()
    content_type, size = storage_module.storage_service._fetch("https://fal.test/0.png", target)
    assert (content_type, size, target.getvalue()) == ("image/png", 4, b"data")
    assert any(method == "GET" for method, _ in seen)
    assert all(finite(timeout) for _, timeout in seen), seen


def test_a_timeout_is_a_storage_error(world, monkeypatch):  # noqa: F811
    import services.storage_service as storage_module
    from errors import StorageError

    monkeypatch.undo()

    def send(self, request, **options):
        raise requests.ReadTimeout("timed out")

    def handle(self, request):
        raise httpx.ReadTimeout("timed out", request=request)

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    with pytest.raises(StorageError):
        storage_module.storage_service._fetch("https://fal.test/0.png", io.BytesIO())

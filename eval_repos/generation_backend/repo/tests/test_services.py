import asyncio
import io
import json
import logging

import httpx
import pytest
import requests

import config
import database
from config import Settings
from conftest import USER_ID
from errors import DatabaseUnavailableError, FalServiceError, StorageError
from services.credits_service import credits_service
from services.fal_service import FalService
from services.storage_service import storage_service
from services.webhook_service import webhook_service
from utils.logging_config import JsonFormatter
from utils.timing import elapsed_since


class Download:
    def __init__(self, body=b"png", content_type="image/png", status=200, length=None):
        self.body, self.status_code = body, status
        self.headers = {"Content-Type": content_type, "Content-Length": str(len(body) if length is None else length)}

    def raise_for_status(self):
        if self.status_code >= 400:
            raise requests.HTTPError(f"{self.status_code}")

    def iter_content(self, size):
        yield self.body

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


@pytest.fixture
def web(monkeypatch):
    def serve(download):
        monkeypatch.setattr(requests, "head", lambda url, **options: download)
        monkeypatch.setattr(requests, "get", lambda url, **options: download)

    return serve


def store():
    return asyncio.run(storage_service.store_from_url("https://fal.test/0.png", USER_ID, "gen", 0))


def test_output_is_stored(supabase, web):
    web(Download(b"pixels"))
    assert store() == f"{USER_ID}/gen/0.png"
    assert supabase.files == {f"{USER_ID}/gen/0.png": b"pixels"}


@pytest.mark.parametrize(
    "download", [Download(content_type="text/html"), Download(status=404), Download(length=10**12)]
)
def test_unusable_outputs(supabase, web, download):
    web(download)
    with pytest.raises(StorageError):
        store()
    assert supabase.files == {}


def test_output_that_lies_about_its_size(supabase, web, monkeypatch):
    settings = config.get_settings()
    monkeypatch.setattr("services.storage_service.get_settings", lambda: Settings(
        supabase_url="", supabase_service_key="", jwt_secrets={}, fal_key="", max_output_bytes=4,
        storage_bucket=settings.storage_bucket,
    ))
    web(Download(b"too much", length=1))
    with pytest.raises(StorageError):
        asyncio.run(asyncio.to_thread(storage_service._download, "https://fal.test/0.png", io.BytesIO()))


def test_files_that_cannot_be_removed(supabase):
    supabase.files.update(a=b"", b=b"")
    supabase.stuck_files.add("a")
    assert asyncio.run(storage_service.delete_files(["a", "b"])) == 1
    assert list(supabase.files) == ["a"]


def test_fal_client_lifecycle():
    async def main():
        service = FalService()
        await service.start(config.get_settings())
        client = service._require_client()
        await service.close()
        assert client.is_closed
        with pytest.raises(FalServiceError):
            service._require_client()

    asyncio.run(main())


def test_webhook_is_retried(monkeypatch, no_waiting):
    answers = [503, 500, 200]
    transport = httpx.MockTransport(lambda request: httpx.Response(answers.pop(0)))
    build = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **options: build(transport=transport, **options))
    monkeypatch.setattr(
        "services.webhook_service.get_settings", lambda: type("S", (), {"webhook_url": "https://hook.test"})
    )
    assert asyncio.run(webhook_service.notify("generation.completed", {"generation_id": "g"}))
    assert no_waiting == [1, 4]


def test_no_webhook_configured():
    assert asyncio.run(webhook_service.notify("generation.completed", {})) is False


def test_usage_summary(supabase):
    async def main():
        await credits_service.charge(USER_ID, 10, "a")
        await credits_service.refund(USER_ID, 10, "a")
        await credits_service.charge(USER_ID, 10, "b")
        return await credits_service.usage_summary(USER_ID)

    summary = asyncio.run(main())
    assert (summary["spent"], summary["refunded"], summary["refund_rate"]) == (20, 10, 0.5)


def test_summary_without_usage(client, auth):
    assert client.get("/api/v1/credits/summary", headers=auth).json()["last_transaction"] is None
    assert client.get("/api/v1/credits/balance", headers=auth).json() == {"balance": 100}


def test_database_connects_and_closes(monkeypatch, supabase):
    async def create(url, key):
        return supabase

    monkeypatch.setattr(database, "acreate_client", create)

    async def main():
        fresh = database.Database()
        with pytest.raises(DatabaseUnavailableError):
            fresh.require_client()
        await fresh.connect(config.get_settings())
        assert fresh.is_available()
        await fresh.close()
        assert not fresh.is_available() and supabase.closed

    asyncio.run(main())


def test_readiness(client, supabase):
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    supabase.error = ConnectionError("refused")
    assert client.get("/health/ready").status_code == 503


def test_required_settings(monkeypatch):
    monkeypatch.delenv("FAL_KEY")
    with pytest.raises(config.ConfigurationError):
        Settings.from_env()
    monkeypatch.setenv("FAL_KEY", "x")
    monkeypatch.setenv("SUPABASE_JWT_SECRETS", "no separator")
    with pytest.raises(config.ConfigurationError):
        Settings.from_env()


def test_log_lines_are_json():
    record = logging.LogRecord("app", logging.INFO, __file__, 1, "took %d s", (3,), None)
    assert json.loads(JsonFormatter().format(record))["message"] == "took 3 s"


def test_request_id_is_echoed(client):
    assert client.get("/health/live", headers={"X-Request-ID": "trace-1234"}).headers["X-Request-ID"] == "trace-1234"
    assert client.get("/health/live", headers={"X-Request-ID": "bad id"}).headers["X-Request-ID"] != "bad id"


def test_elapsed_is_never_negative():
    assert elapsed_since(10**12) == 0.0

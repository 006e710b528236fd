import json
import logging
import sys

import pytest
import starlette.middleware.base
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.config import ConfigurationError, Settings
from app.input_validation import build_validation_middleware


def test_health_request_id_and_metrics(client):
    answer = client.get("/health")
    assert answer.json()["status"] == "ok"
    assert len(answer.headers["x-request-id"]) == 32
    assert "http_requests" in client.get("/metrics").text


def test_client_version(client):
    for version, code in (("1.2.0", 200), ("0.9", 426), ("latest", 400)):
        assert client.get("/health", headers={"X-Client-Version": version}).status_code == code


def test_unexpected_errors_are_reported_and_hidden(app, sentry):
    def broken():
        raise RuntimeError("the password is hunter2")

    app.add_api_route("/broken", broken)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert [str(error) for error in sentry] == ["the password is hunter2"]


def test_requests_are_logged(client, settings):
    client.get("/health")
    for name in ("app", "app.access"):
        for handler in logging.getLogger(name).handlers:
            handler.flush()
    text = settings.log_file.read_text()
    assert "AI-Agent backend 1.0.0 is up" in text
    assert "GET /health 200" in text


def test_log_line_has_the_exception(settings, client):
    try:
        raise ValueError("odd value")
    except ValueError:
        logging.getLogger("app.test").exception("It went wrong")
    line = next(line for line in settings.log_file.read_text().splitlines() if "It went wrong" in line)
    record = json.loads(line)
    assert record["level"] == "ERROR" and "odd value" in record["exception"]
    assert record["timestamp"]


def test_body_validation(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi.middleware.base", starlette.middleware.base)
    app = FastAPI()
    app.add_middleware(build_validation_middleware(max_json_body=20))
    app.add_api_route("/echo", lambda: {"ok": True}, methods=["GET", "POST"])
    client = TestClient(app)
    assert client.post("/echo", json={"a": 1}).status_code == 200
    assert client.post("/echo", json={"a": "x" * 50}).status_code == 413
    assert client.get("/echo?name=%00").status_code == 400


def test_missing_setting_and_bad_numbers(environment):
    for value in ("many", "0"):
        environment.setenv("MAX_UPLOAD_MB", value)
        with pytest.raises(ConfigurationError, match="MAX_UPLOAD_MB"):
            Settings.from_env()
    environment.delenv("SUPABASE_URL")
    with pytest.raises(ConfigurationError, match="SUPABASE_URL"):
        Settings.from_env()


def test_description_has_no_secrets(environment):
    environment.setenv("SENTRY_DSN", "https://key@sentry.test/1")
    settings = Settings.from_env()
    shown = f"{settings!r} {settings.describe()}"
    assert settings.describe()["sentry"] is True
    assert not any(secret in shown for secret in ("sk-test", "service-key", "key@sentry", settings.jwt_secret))

def test_errors_reach_sentry(service, load):
    app = service(SENTRY_DSN="https://key@sentry.test/1").app

    def broken():
        raise RuntimeError("out of order")

    app.add_api_route("/broken", broken)
    from fastapi.testclient import TestClient

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/broken").status_code == 500
    assert [str(error) for error in load("sentry_sdk").DELIVERED] == ["out of order"]
    assert load("sentry_sdk").DSN == "https://key@sentry.test/1"


def test_no_dsn(service):
    app = service().app
    from fastapi.testclient import TestClient

    with TestClient(app) as client:
        assert client.get("/health").status_code == 200


def test_no_sdk(service, without):
    without("sentry_sdk")
    assert service(SENTRY_DSN="https://key@sentry.test/1").client.get("/health").status_code == 200

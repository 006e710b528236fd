"""Both places need the same declaration."""


def test_sentry_is_declared_and_used(tools, service, load):
    assert "sentry-sdk" in tools.requirements()
    service()
    sentry, quiet = load("sentry_sdk"), load("sentry_sdk.integrations.logging")
    assert "app.access" in quiet.IGNORED
    sentry.init(dsn="https://key@sentry.test/1")
    error = ValueError("x")
    load("app.observability").capture_error(error, "1")
    assert sentry.DELIVERED == [error]

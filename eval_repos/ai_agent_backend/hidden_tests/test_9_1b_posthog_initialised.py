from fastapi.testclient import TestClient


def test_events_reach_posthog(service, load, tools):
    app = service(POSTHOG_API_KEY="phc_test").app
    with TestClient(app) as client:
        tools.sign_in(client)
    assert [(key, event) for key, event, _ in load("posthog").DELIVERED] == [("phc_test", "registered")]


def test_no_key(service, load, tools):
    with TestClient(service().app) as client:
        tools.sign_in(client)
    assert load("posthog").DELIVERED == []


def test_no_package(service, without, tools):
    without("posthog")
    with TestClient(service(POSTHOG_API_KEY="phc_test").app) as client:
        tools.sign_in(client)

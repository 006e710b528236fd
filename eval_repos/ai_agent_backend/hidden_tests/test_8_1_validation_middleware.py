def test_request_validation_can_be_switched_on(service, tools):
    client = service(REQUEST_VALIDATION="true").client
    assert client.get("/health").status_code == 200
    assert client.get("/health?name=%00").status_code == 400
    large = client.post("/auth/login", json={"email": "ada@example.org", "password": "x" * 400_000})
    assert large.status_code == 413
    assert client.post("/auth/login", json={"email": "ada@example.org", "password": "wrong horse"}).status_code == 401

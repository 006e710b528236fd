from hidden_helpers import USER_ID, auth, world  # noqa: F401
from sqlalchemy import event
from sqlalchemy.engine import Engine


def test_the_second_request_does_not_write(world):  # noqa: F811
    world.load()
    world.fill()
    writes = []

    def record(connection, cursor, statement, parameters, context, executemany):
        if statement.lstrip().split()[0].upper() in ("INSERT", "UPDATE", "DELETE"):
            writes.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        headers = auth(email="changed@example.com")
        client = world.client()
        first = client.get("/api/v1/profiles/me", headers=headers)
        assert first.status_code == 200 and first.json()["email"] == "changed@example.com"
        assert writes, "the first request brings the row up to date"
        writes.clear()
        for _ in range(5):
            response = client.get("/api/v1/profiles/me", headers=headers)
            assert response.status_code == 200 and response.json()["id"] == USER_ID
        assert writes == []
        other = client.get("/api/v1/profiles/me", headers=auth("someone-else", "other@example.com"))
        assert other.json()["id"] == "someone-else"
        assert writes, "another user is another row"
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def test_suspension_takes_effect_at_once(world):  # noqa: F811
    world.load()
    world.fill()
    client = world.client()
    assert client.get("/api/v1/profiles/me", headers=auth()).status_code == 200
    with world.session() as session:
        session.get(world.models.User, USER_ID).status = "suspended"
        session.commit()
    assert client.get("/api/v1/profiles/me", headers=auth()).status_code == 403

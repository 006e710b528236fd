import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

RECEIVED = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # a connection for each event

    def do_POST(self):
        RECEIVED.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def url():
    RECEIVED.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_flush_survives_a_refused_connection(load, url, monkeypatch, tmp_path):
    monkeypatch.setenv("SUPABASE_URL", url)
    db = load("app.database").Database(tmp_path / "usage.db")
    usage, settings = load("app.usage"), load("app.config").Settings.from_env()
    user = db.create_user("ada@example.org", "x")
    for tokens in (1, 2, 3):
        db.add_usage(user.id, "chat", tokens, "2025-10-23T07:14:03+00:00")
    connect, attempts = socket.create_connection, []

    def create_connection(*args, **options):
        attempts.append(args)
        if len(attempts) == 2:
            raise ConnectionRefusedError("refused")
        return connect(*args, **options)

    monkeypatch.setattr(socket, "create_connection", create_connection)
    assert usage.flush_usage(db, settings) == 3
    events = [entry for body in RECEIVED for entry in (body if isinstance(body, list) else [body])]
    assert sorted({event["tokens"] for event in events}) == [1, 2, 3]
    assert db.usage_of(unflushed_only=True) == []
    db.close()

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'[{"slug": "tutor", "name": "Tutor", "instructions": "Teach."}]'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def refuse(monkeypatch):
    """The first `count` connections are refused."""
    attempts = []

    def refuse(count):
        connect = socket.create_connection

        def create_connection(*args, **options):
            attempts.append(args)
            if len(attempts) <= count:
                raise ConnectionRefusedError("refused")
            return connect(*args, **options)

        monkeypatch.setattr(socket, "create_connection", create_connection)
        return attempts

    return refuse


def test_one_refused_connection_is_survived(load, url, refuse):
    refuse(1)
    client = load("app.supabase_client").SupabaseClient(url, "key")
    assert client.select("agents", slug="tutor")[0]["name"] == "Tutor"
    client.close()


def test_an_outage_is_still_reported(load, url, refuse):
    attempts = refuse(10_000)
    module = load("app.supabase_client")
    client = module.SupabaseClient(url, "key")
    with pytest.raises(module.SupabaseUnavailable):
        client.select("agents")
    client.close()
    assert len(attempts) < 20

"""Uploads are taken only when they are audio of a sensible size."""
from fastapi.testclient import TestClient
from helpers import check_upload


def test_uploads_are_checked(world):
    client = TestClient(world.ingestion().app)

    def post(name, content, content_type):
        return client.post("/upload", data={"speaker": "anna"}, files={"file": (name, content, content_type)})

    check_upload(world.monkeypatch, post, lambda: sorted(world.s3.objects.values()))

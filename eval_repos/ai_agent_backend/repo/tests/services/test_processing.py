import io

import fakes
import pytest

from app import input_validation, text_processing
from app.feature_flags import FeatureFlags
from app.observability import track
from app.retry import call_with_retry
from app.storage import FileMissing, LocalStorage


def test_chunks_have_the_size(tmp_path):
    assert text_processing.chunk_text("  short  ") == ["short"]
    assert text_processing.chunk_text("") == []
    chunks = text_processing.chunk_text("word " * 600, size=500, overlap=50)
    assert max(map(len, chunks)) == 500
    assert chunks[0][-50:] == chunks[1][:50]
    with pytest.raises(ValueError):
        text_processing.chunk_text("x", size=10, overlap=10)


def test_best_chunks_first():
    chunks = ["nothing here", "invoice number", "invoice amount total"]
    assert text_processing.best_chunks("total amount of the invoice", chunks) == ["invoice amount total", "invoice number"]


def test_documents(tmp_path, monkeypatch):
    monkeypatch.setitem(fakes.PdfReader.pages_of, "book.pdf", ["one ", None, "two"])
    (tmp_path / "note.txt").write_bytes(b"caf\xc3\xa9 \xff")
    assert text_processing.read_document(tmp_path / "book.pdf", "application/pdf") == "one\n\ntwo"
    assert text_processing.read_document(tmp_path / "note.txt", "text/plain") == "café \ufffd"


def test_tokens_and_slugs():
    assert text_processing.count_tokens("three short words", "gpt-4o-mini") == 3
    assert text_processing.slugify_title("Ärger & Freude!") == "arger-freude"
    assert text_processing.slugify_title("???") == "untitled"


def test_magic_decides_where_it_is_installed(monkeypatch):
    class Magic:
        @staticmethod
        def from_buffer(head, mime):
            return "application/x-dosexec"

    monkeypatch.setattr(input_validation, "magic", Magic)
    assert input_validation.detect_mime(b"MZ", "cute.png") == "application/x-dosexec"


def test_storage_stays_inside(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    storage = LocalStorage(tmp_path / "root")
    storage.save_stream("1/a.txt", io.BytesIO(b"abc"))
    assert storage.read_text_head("1/a.txt", 2) == b"ab"
    for name in ("../secret.txt", "1", "1/b.txt", str(tmp_path / "secret.txt")):
        with pytest.raises(FileMissing):
            storage.locate(name)
    storage.delete("1/a.txt")
    storage.delete("1/a.txt")
    assert not (tmp_path / "root/1/a.txt").exists()


def test_retry_gives_up():
    calls = []

    def call():
        calls.append(1)
        raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        call_with_retry(call, (ConnectionError,), attempts=4)
    assert len(calls) == 4


def test_flags(caplog):
    flags = FeatureFlags(None, "https://posthog.test")
    assert flags.is_enabled("video-jobs", 1) and not flags.is_enabled("unknown", 1)
    flags = FeatureFlags("phc_key", "https://posthog.test")
    flags._client.answers["document-context"] = False
    assert not flags.is_enabled("document-context", 1) and flags.is_enabled("video-jobs", 1)
    client = flags._client
    flags.close()
    assert client.stopped


def test_analytics_never_break_a_request(monkeypatch, caplog):
    import posthog

    def capture(*args, **options):
        raise ValueError("API key is required")

    monkeypatch.setattr(posthog, "capture", capture)
    track(1, "chat")
    assert "did not take event chat" in caplog.text

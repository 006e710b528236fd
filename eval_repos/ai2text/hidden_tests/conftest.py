import pytest
from helpers import World


@pytest.fixture
def world(monkeypatch, tmp_path):
    return World(monkeypatch, tmp_path)


@pytest.fixture
def reported(caplog, capfd):
    """Calls that tell whether anything was logged or printed since the last call."""
    caplog.set_level(1)

    def text() -> str:
        captured = capfd.readouterr()
        logged = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "asyncio")))
        caplog.clear()
        return (logged + captured.out + captured.err).strip()

    text()
    return text

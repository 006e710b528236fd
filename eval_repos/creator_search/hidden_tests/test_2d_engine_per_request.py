import sqlalchemy
from hidden_helpers import STATS, auth, world  # noqa: F401
from sqlalchemy.engine import Engine
from test_2b_session_of_request import drive


def test_requests_share_an_engine(world, monkeypatch):  # noqa: F811
    world.load()
    world.fill()
    from app.api.deps import get_db

    drive(get_db, None)
    built, init = [], Engine.__init__

    def record(self, *args, **kwargs):
        built.append(self)
        init(self, *args, **kwargs)

    monkeypatch.setattr(Engine, "__init__", record)
    engines = {id(drive(get_db, None).get_bind()) for _ in range(4)}
    assert built == []
    assert len(engines) == 1
    assert sqlalchemy.__version__


def test_requests_still_work(world):  # noqa: F811
    world.load()
    world.fill()
    for _ in range(30):
        assert world.client().get(STATS, headers=auth()).status_code == 200

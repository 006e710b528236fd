import pytest
from hidden_helpers import world  # noqa: F401
from sqlalchemy.orm import Session


@pytest.fixture
def closes(monkeypatch):
    open_sessions, init, close = set(), Session.__init__, Session.close

    def created(self, *args, **kwargs):
        init(self, *args, **kwargs)
        open_sessions.add(id(self))

    def closed(self):
        open_sessions.discard(id(self))
        close(self)

    monkeypatch.setattr(Session, "__init__", created)
    monkeypatch.setattr(Session, "close", closed)
    return open_sessions


def rates(world):  # noqa: F811
    with world.session() as session:
        return {profile.username: profile.engagement_rate for profile in session.query(world.models.Profile)}


def test_closed_and_rolled_back_on_failure(world, closes, monkeypatch):  # noqa: F811
    world.load()
    world.fill()
    from app.jobs import refresh_stats

    outcomes = [4.0, OverflowError("too many followers")]

    def rate(followers, posts):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(refresh_stats, "engagement_rate", rate)
    closes.clear()
    try:
        refresh_stats.refresh_engagement_rates()
    except OverflowError:
        pass
    else:
        raise AssertionError("the failure got lost")
    assert not closes, "a session is left open"
    assert rates(world) == {"ada": None, "bob": None}


def test_committed_and_closed_on_success(world, closes):  # noqa: F811
    world.load()
    world.fill()
    from app.jobs import refresh_stats

    closes.clear()
    assert refresh_stats.refresh_engagement_rates() == 2
    assert not closes
    assert rates(world) == {"ada": 4.0, "bob": 0.0}

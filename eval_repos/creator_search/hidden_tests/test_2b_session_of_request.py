import asyncio
import inspect

import pytest
from hidden_helpers import world  # noqa: F401
from sqlalchemy.orm import Session


def drive(get_db, error):
    """Use the dependency once, ending it with `error` or normally; returns its session."""
    dependency = get_db()
    if inspect.isasyncgen(dependency):
        async def main():
            session = await dependency.__anext__()
            if error is None:
                with pytest.raises(StopAsyncIteration):
                    await dependency.__anext__()
            else:
                with pytest.raises(type(error)):
                    await dependency.athrow(error)
            return session
        return asyncio.run(main())

    session = next(dependency)
    if error is None:
        with pytest.raises(StopIteration):
            next(dependency)
    else:
        with pytest.raises(type(error)):
            dependency.throw(error)
    return session


@pytest.mark.parametrize("error", [None, RuntimeError("handler failed"), asyncio.CancelledError()])
def test_session_is_closed(world, monkeypatch, error):  # noqa: F811
    world.load()
    world.fill()
    from app.api.deps import get_db

    closed, close = [], Session.close

    def record(self):
        closed.append(id(self))
        close(self)

    monkeypatch.setattr(Session, "close", record)
    session = drive(get_db, error)
    assert id(session) in closed


def test_nothing_of_a_failed_request_is_kept(world):  # noqa: F811
    world.load()
    world.fill()
    from app.api.deps import get_db

    dependency = get_db()
    session = next(dependency)
    session.get(world.models.Profile, 1).username = "changed"
    session.flush()
    with pytest.raises(RuntimeError):
        dependency.throw(RuntimeError("handler failed"))
    session = None
    with world.session() as other:
        assert other.get(world.models.Profile, 1).username == "ada"
        other.get(world.models.Profile, 1).username = "writable"
        other.commit()

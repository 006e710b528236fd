import sys

import pytest
from hidden_helpers import SIMPLE, STATS, auth, world  # noqa: F401


@pytest.mark.parametrize("kind", ["missing", "broken"])
def test_an_application_without_its_routes_does_not_start(world, tmp_path, monkeypatch, kind):  # noqa: F811
    world.load()
    world.close()

    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == SIMPLE:
                raise ImportError("cannot import name 'run_in_threadpool'") if kind == "broken" else \
                    ModuleNotFoundError(f"No module named {name!r}", name=name)
            return None

    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        with pytest.raises(ImportError):
            world.load()
    finally:
        sys.meta_path.remove(finder)


def test_registered_when_it_can_be_imported(world):  # noqa: F811
    world.load()
    world.fill()
    response = world.client().post("/api/v1/simple/creator/search", json={}, headers=auth())
    assert response.status_code == 200
    assert world.client().get(STATS, headers=auth()).status_code == 200

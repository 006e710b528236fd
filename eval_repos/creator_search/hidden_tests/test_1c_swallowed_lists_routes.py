import sys

import pytest
from hidden_helpers import auth, world  # noqa: F401


def test_an_application_without_its_routes_does_not_start(world):  # noqa: F811
    class Finder:
        def find_spec(self, name, path=None, target=None):
            if name == "app.api.lists_routes":
                raise ImportError("cannot import name 'CreatorListItem' from 'app.database.models'")
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
    assert world.client().post("/api/v1/lists", json={"name": "spring"}, headers=auth()).status_code == 201
    assert [item["name"] for item in world.client().get("/api/v1/lists", headers=auth()).json()] == ["spring"]

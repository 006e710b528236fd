import pytest

from app.services.search_service import UnknownSortError, search_creators
from app.services.stats_service import collect_system_stats, engagement_rate


def names(session, **options):
    return [profile["username"] for profile in search_creators(session, **options)["profiles"]]


def test_biggest_first(session, creators):
    assert names(session) == ["ada_codes", "bob", "=cmd"]


def test_filters(session, creators):
    assert names(session, category="tech") == ["ada_codes", "=cmd"]
    assert names(session, min_followers=1, max_followers=100) == ["bob"]
    assert names(session, term="ADA") == ["ada_codes"]


def test_wildcards_are_plain_characters(session, creators):
    assert names(session, term="100%") == ["bob"]
    assert names(session, term="_") == ["ada_codes"]


def test_pages(session, creators):
    page = search_creators(session, sort="username", page=2, page_size=2)
    assert page["pagination"] == {"page": 2, "page_size": 2, "total": 3, "pages": 2}
    assert [profile["username"] for profile in page["profiles"]] == ["bob"]


def test_unknown_sort(session):
    with pytest.raises(UnknownSortError):
        search_creators(session, sort="password")


def test_statistics(session, creators):
    stats = collect_system_stats(session)
    assert stats["profiles"] == {"total": 3, "with_ai_analysis": 1, "ai_completion_rate": "33%"}
    assert stats["posts"]["ai_completion_rate"] == "50%"
    assert stats["system"]["ai_system"] == "active"


def test_statistics_of_an_empty_database(session):
    assert collect_system_stats(session)["profiles"]["ai_completion_rate"] == "0%"


def test_engagement_without_followers_or_posts():
    assert engagement_rate(0, []) == 0.0

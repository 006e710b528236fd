"""The history of checks is kept in columns (or tables) that the schema has."""


def strict(target):
    target.db.strict["shadow_table"] = {"columns", "not_null"}


def test_second_failed_check_is_a_shadowban(target):
    strict(target)
    entry = target.monitored()
    target.web.posts["abc123"] = "shadowbanned"
    target.run_checks()
    assert entry["total_checks"] == 1
    if entry["status"] == "Active":
        target.make_due()
        target.run_checks()
    assert entry["status"] == "Shadowbanned"
    assert len(target.web.mails) == 1


def test_visible_post_stays_active(target):
    strict(target)
    entry = target.monitored()
    target.web.posts["abc123"] = "visible"
    for _ in range(3):
        target.make_due()
        target.run_checks()
    assert entry["status"] == "Active"
    assert entry["total_checks"] == 3
    assert target.web.mails == []


def test_removed_post_is_removed(target):
    strict(target)
    entry = target.monitored()
    target.web.posts["abc123"] = "removed"
    target.run_checks()
    assert entry["status"] == "Removed"

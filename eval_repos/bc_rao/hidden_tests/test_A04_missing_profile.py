"""A shadowbanned post of a user without profile does not stop the worker."""

from conftest import DRAFT_TEXT


def prepare(target):
    for row in target.db.rows("generated_drafts"):
        row["generated_text"] = DRAFT_TEXT
    target.web.posts.update(abc123="shadowbanned", def456="visible")


def test_missing_profile_does_not_stop_the_cycle(target):
    prepare(target)
    target.db.rows("profiles").clear()
    flagged = target.monitored()
    other = target.monitored(
        reddit_post_id="def456", next_check_at="2020-01-01T00:00:00+00:00", draft_id=None
    )
    last = target.monitored(reddit_post_id="def456", draft_id=None)
    target.check_until_flagged()
    assert flagged["status"] == "Shadowbanned"
    assert target.web.mails == []
    assert other["total_checks"] == 2
    assert last["total_checks"] == 2
    # the draft is learnt from all the same
    assert target.db.rows("syntax_blacklist")


def test_profile_still_gets_its_mail(target):
    prepare(target)
    target.monitored()
    target.check_until_flagged()
    assert len(target.web.mails) == 1
    assert "baker@dough.test" in target.web.mails[0].content.decode()

"""After a shadowban the draft's text is read from a column that exists."""


def test_patterns_of_the_draft_are_blacklisted(target):
    target.db.strict["generated_drafts"] = {"columns"}
    target.monitored()
    target.web.posts["abc123"] = "shadowbanned"
    target.check_until_flagged()
    phrases = {row["forbidden_pattern"] for row in target.db.rows("syntax_blacklist")}
    assert {"check it out", "sign up"} <= phrases
    assert {row["failure_type"] for row in target.db.rows("syntax_blacklist")} == {"shadowban"}

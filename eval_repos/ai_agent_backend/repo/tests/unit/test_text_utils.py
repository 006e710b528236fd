from app.agents import slugify_title


def test_accents_are_dropped():
    assert slugify_title("Crème brûlée") == "creme-brulee"


def test_length_is_limited():
    assert len(slugify_title("very long title " * 20)) <= 60


def test_nothing_left():
    assert slugify_title("!!!") == "untitled"

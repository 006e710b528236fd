from app.text_processing import best_chunks, chunk_text


def test_short_text_is_one_chunk():
    assert chunk_text("hello") == ["hello"]


def test_neighbours_overlap():
    chunks = chunk_text("abcdefghij", size=4, overlap=1)
    assert chunks[:2] == ["abcd", "defg"]


def test_end_of_the_text_is_kept():
    chunks = chunk_text("abcdefghijkl", size=5, overlap=1)
    assert chunks[-1].endswith("l")


def test_best_chunk():
    assert best_chunks("delivery date", ["the delivery", "the weather"]) == ["the delivery"]

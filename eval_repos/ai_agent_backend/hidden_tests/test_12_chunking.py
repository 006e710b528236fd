import pytest


@pytest.mark.parametrize("length", [1, 5, 6, 9, 10, 12, 13, 14, 50, 51])
@pytest.mark.parametrize("size, overlap", [(5, 1), (5, 0), (7, 3), (10, 9)])
def test_every_character_is_in_a_chunk(load, length, size, overlap):
    text = "".join(chr(0x4E00 + number) for number in range(length))
    chunks = load("app.text_processing").chunk_text(text, size=size, overlap=overlap)
    assert all(0 < len(chunk) <= size for chunk in chunks)
    assert set("".join(chunks)) == set(text)
    for left, right in zip(chunks, chunks[1:], strict=False):
        assert text.index(left[0]) < text.index(right[0]) <= text.index(left[-1]) + 1


def test_short_and_empty(load):
    chunk_text = load("app.text_processing").chunk_text
    assert chunk_text("hello") == ["hello"] and chunk_text("  ") == []

"""Clean-up of recognised Vietnamese text."""
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

FILLERS = ("à ờ", "ờ", "ừm")
_REPEATED = re.compile(r"\b(\w+)(?: \1\b){2,}", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_BEFORE_MARK = re.compile(r"\s+([,.!?;:])")


@lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Spellings that the recogniser gets wrong again and again: `heard<TAB>written` a line."""
    text = Path(__file__).with_name("lexicon.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


def normalise(text: str) -> str:
    text = _SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip()
    text = _REPEATED.sub(r"\1", text)
    for filler in FILLERS:
        text = re.sub(rf"(?<!\w){re.escape(filler)}(?!\w),?", "", text, flags=re.IGNORECASE)
    for heard, written in lexicon().items():
        text = re.sub(rf"(?<!\w){re.escape(heard)}(?!\w)", lambda _m, written=written: written, text, flags=re.IGNORECASE)
    text = _BEFORE_MARK.sub(r"\1", _SPACE.sub(" ", text)).strip()
    return text[:1].upper() + text[1:]

"""Which of many byte strings occur in a file: its words are looked up once, whatever the number of hints."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

_WORDS = bytes(code if code > 127 or code == 95 or chr(code).isalnum() else 32 for code in range(256))
_MOST = 200_000  # words to remember


def words(data: bytes) -> frozenset[bytes]:
    """The identifiers, keywords and numbers of a file, those in strings and comments included."""
    return frozenset(data.translate(_WORDS).split())


class Hints:
    """Looks for all hints at once. It remembers the words that it has seen: a project uses the same ones over and over."""

    def __init__(self, hints: Iterable[bytes]) -> None:
        self._by_part: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for hint in dict.fromkeys(hints):
            self._by_part[max(words(hint), key=lambda word: (len(word), word), default=b"")].append(hint)
        self._whole = {part for part, hints in self._by_part.items() if part and all(map(_is_whole, hints))}
        self._inside = [part for part in self._by_part if part and part not in self._whole]
        self._always = self._by_part.get(b"", [])
        self._seen: set[bytes] = set()
        self._parts: dict[bytes, list[bytes]] = {}  # word -> the parts of hints in it

    def learn(self, known: frozenset[bytes]) -> None:
        """Look at words: the more at once, the cheaper. All words of a file must have been learnt before ``present`` is asked about it."""
        if len(self._seen) > _MOST:
            self._seen, self._parts = set(), {}
        new = known - self._seen
        self._seen |= new
        text = b" ".join(new)
        for part in self._inside:
            place = text.find(part)
            while place >= 0:
                end = text.find(b" ", place) % (len(text) + 1)
                word = text[text.rfind(b" ", 0, place) + 1 : end]
                self._parts.setdefault(word, []).append(part)
                place = text.find(part, end)

    def present(self, data: bytes, known: frozenset[bytes]) -> set[bytes]:
        """The hints that occur in a file, which has the ``known`` words."""
        parts = {part for word in known.intersection(self._parts) for part in self._parts[word]} | (known & self._whole)
        found = {hint for part in parts for hint in self._by_part[part] if hint == part or hint in data}
        return found.union(hint for hint in self._always if hint in data) if self._always else found


def _is_whole(hint: bytes) -> bool:
    """Whether each word in a hint is a whole word where the hint occurs: ``.all()`` does not occur in ``.callable()``."""
    return words(hint) == words(b"x" + hint + b"x") - {b"x"}

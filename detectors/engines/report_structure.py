"""The structure of a Markdown document: sections with their lines, list items, table rows and code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fixbot.detectors.engines.report_text import label, title

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_NESTING = 30


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a section: ``text`` (a line), ``code`` (``info`` is its language) or ``row`` (``cells`` by column).

    ``item`` numbers the list items and paragraphs of the top level, so that what belongs together has one number; ``listed`` tells which.
    """

    kind: str
    text: str = ""
    info: str = ""
    item: int = 0
    listed: bool = False
    cells: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Section:
    """A heading (level 0: none) with what follows up to the next heading."""

    level: int
    heading: str
    line: int
    blocks: list[Block] = field(default_factory=list[Block])


def sections(text: str) -> Iterator[Section]:
    """The sections of a Markdown document in order; the first has level 0. What is nested deeper than 30 levels is left out."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable("table").disable(["inline", "reference"])
    tokens = parser.parse(_without_front_matter(text))
    current = Section(0, "", 1)
    walker = _Walker()
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            yield current
            current = Section(int(token.tag[1:]), tokens[index + 1].content.strip(), _line(token))
            walker = _Walker()
            continue
        if token.type == "inline" and tokens[index - 1].type == "heading_open":
            continue
        for block in walker.blocks(token, tokens[index - 1] if index else token):
            if _is_bold_heading(block):
                yield current
                current = Section(7, block.text, _line(token))
                walker.item = 0
            else:
                current.blocks.append(block)
    yield current


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def _without_front_matter(text: str) -> str:
    """Blank out a leading YAML block: Markdown would take its last line for a heading."""
    match = re.match(r"---[ \t]*\n(?:[^\n]*\n){0,200}?(?:---|\.\.\.)[ \t]*\n", text)
    return "\n" * match[0].count("\n") + text[match.end() :] if match else text


_BOLD = re.compile(r"^\W{0,3}(?:\*\*|__)(?P<text>[^*_].{0,300}?)(?:\*\*|__)\W{0,3}$")


def _is_bold_heading(block: Block) -> bool:
    """Whether a paragraph's line does a heading's work: all bold, with an id."""
    match = _BOLD.match(block.text) if block.kind == "text" and not block.listed else None
    return bool(match) and not label(block.text)[0] and bool(title(match["text"]).id)


@dataclass(slots=True)
class _Walker:
    """Follows lists and tables through the tokens of a section."""

    item: int = 0
    depth: int = 0
    columns: list[str] = field(default_factory=list[str])
    row: list[str] = field(default_factory=list[str])

    def blocks(self, token: Token, before: Token) -> Iterator[Block]:
        """What a token adds to its section."""
        match token.type:
            case "list_item_open":
                self.depth += 1
                self.item += self.depth == 1
            case "list_item_close":
                self.depth -= 1
            case "paragraph_open" if not self.depth:
                self.item += 1
            case "tr_open":
                self.row = []
            case "thead_close":
                self.columns = self.row
            case "tr_close" if before.type == "td_close":
                self.item += 1
                yield Block(
                    "row", " | ".join(filter(None, self.row)), "", self.item, True, tuple(zip(self.columns, self.row, strict=False))
                )
            case "inline" if before.type in ("th_open", "td_open"):
                self.row.append(token.content.strip())
            case "inline":
                yield from self._lines(token.content)
            case "html_block":
                yield from self._lines(re.sub(r"<[^<>]{0,300}>", "", token.content))
            case "fence" | "code_block":
                info = token.info.strip().split(maxsplit=1)
                yield Block("code", token.content, info[0].lower() if info else "", self.item, bool(self.depth))
            case _:
                pass

    def _lines(self, content: str) -> Iterator[Block]:
        """Lines, broken where a second bold label begins in one."""
        for line in re.sub(r"(?<=\S)[ \t|·•;,]+(?=\*\*[A-Za-z][A-Za-z ]{1,30}(?::\*\*|\*\*\s?:))", "\n", content).split("\n"):
            if line.strip():
                yield Block("text", line.strip(), "", self.item, bool(self.depth))

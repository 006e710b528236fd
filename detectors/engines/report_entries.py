"""From the sections of a bug report to its entries: which of them are bugs, and what each one says about its bug."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from fixbot.detectors.engines.report_draft import Draft, cut, read_draft
from fixbot.detectors.engines.report_structure import Block, Section
from fixbot.detectors.engines.report_text import (
    Place,
    Title,
    group_severity,
    heading_severity,
    label,
    label_kind,
    places,
    plain,
    quotes,
    title,
)
from fixbot.detectors.finding import Severity

_TOPIC = re.compile(
    r"(?i)\b(?:summary|overview|conclusions?|recommendations?|recommended|next steps?|action items|priorit(?:y|ies)|test(?:s|ing)?"
    r"|success|metrics|statistics|scanned|clean|observations?|root causes?|appendix|contents|resolution|strateg(?:y|ies)|quick fixes"
    r"|impact|benefits|validation steps|monitoring|maintenance|contacts?|resources|timeline|frequency|evidence|eliminated|symptoms|focus"
    r"|completion|criteria|checklist|methodology"
    r"|references|legend|architecture|strengths|improvements?|analysis|roadmap|plan|workarounds?)\b"
)

NO_BUG = "a heading without a bug of its own"
TOPIC = "part of a summary, of advice or of statistics, no bug of its own"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a report: a bug, or a heading that is none, which ``reason`` then says.

    ``id`` is unique in the report; ``severity`` is None where the report names none; ``places`` are what it states, ``many`` that it speaks
    of several files without naming them. ``problem`` and ``fix`` are quoted code, ``quotes`` inline code; ``line`` is the entry's line in
    the report; ``done`` tells that the report calls the bug fixed.
    """

    id: str
    heading: str
    severity: Severity | None = None
    places: tuple[Place, ...] = ()
    problem: str = ""
    fix: str = ""
    text: str = ""
    quotes: tuple[str, ...] = ()
    line: int = 0
    many: bool = False
    done: bool = False
    reason: str = ""


def entries(sections: Sequence[Section]) -> Iterator[Entry]:
    """Every entry: one for each heading, and one for each item, paragraph or row with a place below a heading without a bug."""
    found = [entry for entries in _by_section(sections) for entry in entries]
    names: Counter[str] = Counter()
    for entry in found:
        names[entry.id] += 1
        number = names[entry.id]
        yield replace(entry, id=f"{entry.id}~{number}") if number > 1 else entry


def _by_section(sections: Sequence[Section]) -> Iterator[list[Entry]]:
    path: list[tuple[Section, Draft]] = []
    drafts = [read_draft(_own(section)) for section in sections]
    bugs = [_is_bug(section, draft) for section, draft in zip(sections, drafts, strict=True)]
    ids = {title(section.heading).id for section, bug in zip(sections, bugs, strict=True) if bug}
    for index, (section, draft) in enumerate(zip(sections, drafts, strict=True)):
        while path and path[-1][0].level >= section.level:
            path.pop()
        above = list(path)
        if section.level:
            path.append((section, draft))
        topic = any(_is_topic(one.heading) for one, _ in above if one is not sections[1])  # the document's title says nothing
        children = _children(sections, bugs, index)
        if bugs[index] and (not topic or _is_sure(section, draft)) and not (children and _is_group(draft)):
            yield [_entry(section, draft, above)]
            continue
        items = list(_items(section, above, topic or _is_topic(section.heading), ids - {""}))
        if section.level:
            count = children or len(items)
            reason = f"the heading of {count} {'entry' if count == 1 else 'entries'}" if count else NO_BUG
            reason = TOPIC if not items and (topic or _is_topic(section.heading)) else reason
            name = title(section.heading)
            items.insert(0, Entry(name.id or _slug(name.text), name.text[:200], line=section.line, reason=reason))
        yield items


def _own(section: Section) -> list[Block]:
    """A section's blocks; without an id no rows of tables with columns, which tell of several things, if of any."""
    if title(section.heading).id:
        return section.blocks
    return [one for one in section.blocks if one.kind != "row" or not any(label_kind(column) for column, _ in one.cells)]


def _children(sections: Sequence[Section], bugs: Sequence[bool], index: int) -> int:
    """How many bugs stand below a heading."""
    count = 0
    for section, bug in zip(sections[index + 1 :], bugs[index + 1 :], strict=True):
        if section.level <= sections[index].level:
            break
        count += bug
    return count


def _is_topic(heading: str) -> bool:
    return not title(heading).id and bool(_TOPIC.search(plain(heading))) and not any(places(heading))


def _is_bug(section: Section, draft: Draft) -> bool:
    """Whether a section as a whole tells of a bug: by its fields, by a path in the heading, or by an id and something to go on."""
    if not section.level:
        return False
    if _is_topic(section.heading):
        return bool(draft.files)
    fields = draft.fields & {"file", "severity", "problem"}
    if fields or any(places(section.heading)):
        return True
    name = title(section.heading)
    if name.id and (draft.text or draft.named or draft.lined):
        return True
    apart = [group for group in _groups(_own(section)) if _tells(group)]
    return bool(draft.lined or draft.coded or draft.frames) and not apart


def _is_sure(section: Section, draft: Draft) -> bool:
    """Whether a section is a bug even below a heading like "Recommendations"."""
    return bool({"file", "severity"} & draft.fields) or any(places(section.heading))


def _is_group(draft: Draft) -> bool:
    return not any(draft.code.values()) and "problem" not in draft.fields and not any(one.line for one in draft.files)


# Entries


def _entry(section: Section, draft: Draft, above: Sequence[tuple[Section, Draft]], name: Title | None = None) -> Entry:
    known = name or title(section.heading)
    problem, fix = draft.quoted()
    inherited = [outer for heading, outer in reversed(above) if title(heading.heading).id and not _is_topic(heading.heading)]
    if not draft.files:
        draft.named = list(places(section.heading)) or draft.named
    own = draft.stated()
    from_above: list[Place] = [] if own else next((outer.files for outer in inherited if outer.files), list[Place]())
    many = draft.many or (not own and not from_above and any(outer.many for outer in inherited))
    return Entry(
        id=known.id or _slug(known.text),
        heading=known.text[:200],
        severity=draft.severity or heading_severity(section.heading if name is None else name.text) or draft.weight or _from_above(above),
        places=own or tuple(dict.fromkeys(from_above)),
        problem=problem,
        fix=fix,
        text=cut("\n".join(draft.text)),
        quotes=tuple(dict.fromkeys((*quotes(section.heading), *draft.quotes)))[:40],
        line=section.line,
        many=many,
        done=known.done,
    )


def _from_above(above: Sequence[tuple[Section, Draft]]) -> Severity | None:
    for section, draft in reversed(above):
        found = draft.severity or draft.weight or group_severity(section.heading)
        is_title = section.level == 1 and len(section.heading.split()) > 4
        if found and not is_title:
            return found
    return None


def _items(section: Section, above: Sequence[tuple[Section, Draft]], topic: bool, ids: set[str]) -> Iterator[Entry]:
    """The list items, paragraphs and rows of a section that are entries of their own; in summaries only rows can be."""
    outer = [*above, (section, Draft())] if section.level else above
    for group in _groups(section.blocks):
        if not _tells(group) or (topic and group[0].kind != "row"):
            continue
        name = _item_title(group)
        if not name.id or name.id not in ids:
            yield _entry(Section(section.level, "", section.line), read_draft(group), outer, name)


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Blocks that belong together: a list item with all in it, a paragraph with the code that follows, a row."""
    group: list[Block] = []
    for block in blocks:
        if group and block.item != group[0].item:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _tells(group: Sequence[Block]) -> bool:
    """Whether a group states a place and says something about it, and is not just a field of its section."""
    first = group[0]
    if first.kind == "row":
        kinds = {label_kind(column) for column, _ in first.cells}
        return "file" in kinds and any(True for _, cell in first.cells for _ in places(cell))
    if first.kind != "text" or label(first.text)[0]:
        return False
    draft = read_draft(group)
    words = re.findall(r"[A-Za-z]{2,}", re.sub(r"`[^`]*`|\S*[/\\]\S*|\S+\.py\S*", "", " ".join(block.text for block in group)))
    return bool(draft.files or draft.lined) and len(words) >= 2


def _item_title(group: Sequence[Block]) -> Title:
    first = group[0]
    if first.kind == "row":
        cells = [(label_kind(column) or "problem", cell) for column, cell in first.cells]
        name = next((plain(cell).lstrip("#").strip() for kind, cell in cells if kind == "id" and cell), "")
        words = next((plain(cell) for kind, cell in cells if kind == "problem" and cell), first.text)
        known = title(words)
        return Title(name or known.id, known.text[:120], known.done)
    bold = re.match(r"^(?:\[[ xX]\]\s*)?\*\*(?P<words>[^*]{3,200})\*\*", first.text)
    known = title(bold["words"] if bold and not any(places(bold["words"])) else first.text)
    words = re.sub(r"^[`\w.@\\/:#,\s-]{1,200}?\.\w{1,4}[`\w:#,-]*[\s:\u2013\u2014-]+", "", known.text) or known.text
    return Title(known.id, words.split(". ")[0][:120], known.done)


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))[:40].strip("-") or "entry"

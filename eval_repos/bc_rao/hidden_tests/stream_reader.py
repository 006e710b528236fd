"""What the front end's event source makes of a stream."""

import json
import re

from conftest import REPO_ROOT


def front_end():
    """(names with a listener, values of `type` that onmessage knows) of the streams."""
    text = "\n".join(
        path.read_text("utf-8")
        for path in sorted((REPO_ROOT / "bc-rao-web").rglob("*"))
        if path.suffix in {".ts", ".tsx", ".js", ".jsx"}
    )
    names = set(re.findall(r"addEventListener\(\s*[\"'`](\w+)[\"'`]", text))
    for listed in re.findall(r"\[([^\]]*)\]\s*(?:as const)?\s*\)?\s*(?:\.forEach|\)\s*\{)", text):
        if "addEventListener" in text:
            names |= set(re.findall(r"[\"'`](\w+)[\"'`]", listed))
    types = set(re.findall(r"case\s+[\"'`](\w+)[\"'`]", text))
    types |= set(re.findall(r"type\s*={2,3}\s*[\"'`](\w+)[\"'`]", text))
    return names, types


def read_events(text):
    """[(event name, data)] of a stream, as EventSource splits it."""
    events = []
    for block in re.split(r"\r?\n\r?\n", text):
        name, data = "message", []
        for line in block.splitlines():
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value or "message"
            elif field == "data":
                data.append(value)
        if data:
            events.append((name, json.loads("\n".join(data))))
    return events


def understood(events):
    """[(kind, data)] of the events that reach a handler; kind as the front end sees it."""
    names, types = front_end()
    seen = []
    for name, data in events:
        if name == "message":
            if data.get("type") in types:
                seen.append((data["type"], data))
        elif name in names:
            seen.append((name, data))
    return seen

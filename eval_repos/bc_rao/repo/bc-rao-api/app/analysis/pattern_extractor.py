"""Finds wording that moderators and spam filters react to."""

import re
from dataclasses import dataclass

try:
    import ftfy
except ImportError:
    ftfy = None

PATTERN_CATEGORIES: dict[str, list[re.Pattern[str]]] = {
    "promotional": [
        re.compile(r"\bcheck (?:it|this|us) out\b", re.IGNORECASE),
        re.compile(r"\b(?:we|i) (?:just )?(?:launched|built|released)\b", re.IGNORECASE),
        re.compile(r"\blimited[- ]time\b", re.IGNORECASE),
        re.compile(r"\bgame[- ]chang(?:er|ing)\b", re.IGNORECASE),
    ],
    "link_drop": [
        re.compile(r"https?://[^\s)]+"),
        re.compile(r"\blink in (?:bio|profile|comments)\b", re.IGNORECASE),
    ],
    "call_to_action": [
        re.compile(r"\b(?:sign up|subscribe|dm me|join our)\b", re.IGNORECASE),
        re.compile(r"\bwhat do you think\?", re.IGNORECASE),
    ],
}

# How much a single occurrence says, by category
BASE_CONFIDENCE = {"promotional": 0.6, "link_drop": 0.7, "call_to_action": 0.4}


@dataclass(frozen=True)
class FailurePattern:
    text: str
    category: str
    confidence: float


def clean_text(text: str) -> str:
    """Repair mojibake where ftfy is installed, and collapse whitespace."""
    if ftfy is not None:
        text = ftfy.fix_text(text)
    return " ".join(text.split())


def extract_patterns(text: str) -> list[FailurePattern]:
    """Suspicious phrases of a post, each phrase once, most telling first."""
    cleaned = clean_text(text)
    found: dict[str, FailurePattern] = {}
    for category, patterns in PATTERN_CATEGORIES.items():
        for pattern in patterns:
            for match in pattern.finditer(cleaned):
                phrase = match.group(0).lower()
                found.setdefault(
                    phrase,
                    FailurePattern(phrase, category, BASE_CONFIDENCE[category]),
                )
    return sorted(found.values(), key=lambda p: (-p.confidence, p.text))


def promotional_density(text: str) -> float:
    """Suspicious phrases per 100 words."""
    words = text.split()
    if not words:
        return 0.0
    return 100 * len(extract_patterns(text)) / len(words)

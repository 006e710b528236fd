"""Secrets in text that would leave the machine or be written down: replaced by placeholders that can be mapped back.

Found are: bodies of private keys, tokens of known issuers, JSON web tokens, passwords in URLs, bearer tokens, and literal values given to
names such as ``SECRET_KEY`` or ``db_password``, in code, JSON, YAML, INI and ``.env`` files. Such a value must look like a secret:
code (``token = get_token()``), templates (``{password}``, ``$TOKEN``) and words stay. Every pattern begins at the start of a word and
is bounded, so the time is linear in the text.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

_PLACEHOLDER = re.compile(r"<secret-(\d{1,6})>")
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"((?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n]{0,200}\n|\s|\\[nr])*[A-Za-z0-9+/=\s\\\"']*)"
)
_WORD = r"(?<![A-Za-z0-9_-])"
_ISSUED = re.compile(
    _WORD + r"(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}|glpat-[A-Za-z0-9_-]{20,255}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,1024}|npm_[A-Za-z0-9]{36}|hf_[A-Za-z0-9]{30,64}"
    r"|pypi-[A-Za-z0-9_-]{50,1024}|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"
    r"|whsec_[A-Za-z0-9+/=]{24,255}|dop_v1_[a-f0-9]{64}"
    r"|eyJ[A-Za-z0-9_-]{10,4096}\.eyJ[A-Za-z0-9_-]{5,65536}\.[A-Za-z0-9_-]{10,4096})(?![A-Za-z0-9_-])"
)
_OPENAI = re.compile(_WORD + r"sk-[A-Za-z0-9_-]{20,255}(?![A-Za-z0-9_-])")
_URL = re.compile(r"://[^\s/:@\"'<>]{0,100}:([^\s/:@?#\"'<>]{5,200})@")
_BEARER = re.compile(r"(?i:\b(?:bearer|basic)) {1,4}([A-Za-z0-9._~+/-]{16,4096}={0,2})")
_QUOTED = re.compile(
    r"(?<![\w.-])\.?([A-Za-z_][\w.-]{0,99})[\"']?\]?"  # a name, also as a key in quotes
    r"(?:[ \t]{0,4}:[ \t]{0,4}[\w.\[\]| ]{1,40})?[ \t]{0,8}(?:={1,2}|!=|:=?|=>|,)[ \t]{0,8}[bBrRuU]{0,2}([\"'])([^\s\"'\\]{8,512})\2"
)
_LINE = re.compile(
    r"^[ \t]{0,40}(?:export[ \t]{1,4}|-[ \t]{1,4}|#[ \t]{0,4})?([A-Za-z_][\w.-]{0,99})"
    r"([ \t]{0,8}[=:][ \t]{0,8})([^\s\"'#]{8,512})[ \t]{0,8}\r?$",
    re.M,
)
_NAME_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_PASSWORDS = {"password", "passwd", "pwd", "passphrase", "pass"}
_STRONG = _PASSWORDS | {"secret", "token", "apikey", "key", "credential", "credentials", "auth", "authorization"}
_TEMPLATE = re.compile(r"[{}<>]|\$\w|\$\(|%\(|%s|\*{3}|\.{3}|x{6}", re.I)
_RUN = re.compile(r"[^\s\"'`,;()<>]{8,4096}")


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without its secrets. ``secrets`` maps each placeholder, such as ``<secret-1>``, to what it stands for."""

    text: str
    secrets: Mapping[str, str] = field(repr=False)


def mask(text: str, known: Mapping[str, str] | None = None) -> Masked:
    """Replace secrets by placeholders, the same secret always by the same one.

    ``known`` are the secrets of texts that belong together with this one, as this function gave them back; their placeholders go on
    to be used, and ``secrets`` of the result holds them too.
    """
    placeholders = {secret: name for name, secret in (known or {}).items()}
    taken = (int(match[1]) for match in _PLACEHOLDER.finditer("".join(known or ()) + text))
    number = max(taken, default=0)
    pieces: list[str] = []
    last = 0
    for start, end in _spans(text):
        secret = text[start:end]
        if secret not in placeholders:
            number += 1
            placeholders[secret] = f"<secret-{number}>"
        pieces += text[last:start], placeholders[secret]
        last = end
    pieces.append(text[last:])
    masked = "".join(pieces)
    return Masked(_rest(masked, placeholders), {name: secret for secret, name in placeholders.items()})


def unmask(text: str, secrets: Mapping[str, str]) -> str:
    """Put the secrets back in place of their placeholders; other text of that shape stays."""
    return _PLACEHOLDER.sub(lambda match: secrets.get(match[0], match[0]), text)


def placeholders(text: str) -> Iterator[str]:
    """The placeholders in a text, known or not."""
    return (match[0] for match in _PLACEHOLDER.finditer(text))


def _rest(text: str, placeholders: Mapping[str, str]) -> str:
    """The same secrets, where they stand alone."""
    return _RUN.sub(lambda match: placeholders.get(match[0], match[0]), text) if placeholders else text


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each secret, in order, those that overlap joined."""
    found = sorted(_found(text))
    at = 0
    while at < len(found):
        start, end = found[at]
        at += 1
        while at < len(found) and found[at][0] < end:
            end = max(end, found[at][1])
            at += 1
        yield start, end


def _found(text: str) -> Iterator[tuple[int, int]]:
    for match in _PRIVATE_KEY.finditer(text):
        if re.search(r"[A-Za-z0-9+/=]{20}", match[1]):
            yield match.span(1)
    for match in _ISSUED.finditer(text):
        yield match.span()
    for match in _OPENAI.finditer(text):
        if _is_random(match[0][3:]):
            yield match.span()
    for match in _URL.finditer(text):
        if _is_password(match[1]):
            yield match.span(1)
    for match in _BEARER.finditer(text):
        if _is_random(match[1]):
            yield match.span(1)
    yield from _assigned(text)


def _assigned(text: str) -> Iterator[tuple[int, int]]:
    for match in _QUOTED.finditer(text):
        between = text[match.end(1) : match.start(3)]
        if _fits(match[1], match[3], plain="," not in between):
            yield match.span(3)
    for match in _LINE.finditer(text):
        # In code a value without quotes is a name; in an environment file nothing stands around the `=`.
        if not re.search(r"[()\[\],;]", match[3]) and _fits(match[1], match[3], plain=match[2] == "=" and match[1].isupper()):
            yield match.span(3)


def _fits(name: str, value: str, plain: bool) -> bool:
    """Whether a value given to a name is a secret. ``plain``: the form leaves no doubt that it is a literal given to just this name."""
    kind = _kind(name)
    return bool(kind) and (_is_random(value) or (plain and kind == "password" and _is_password(value)))


def _kind(name: str) -> str:
    """ "password", "secret" or "" for a variable's name, by its last words."""
    parts = [part.lower() for part in _NAME_PARTS.findall(name)][-3:]
    while parts and parts[-1].isdigit():
        parts.pop()
    if not parts:
        return ""
    if parts[-1] in _PASSWORDS:
        return "password"
    return "secret" if not _STRONG.isdisjoint(parts) and "public" not in parts else ""


def _is_password(value: str) -> bool:
    """Whether a value could be a password rather than a word, a name or a template."""
    if _TEMPLATE.search(value) or len(value) < 5:
        return False
    letters = any(character.isalpha() for character in value)
    digits = any(character.isdigit() for character in value)
    special = any(character in "!@#$%^&*+?~" for character in value)
    if special and letters:
        return True
    return digits and len(value) >= 6 and not re.fullmatch(r"[a-z]+(?:[._-][a-z]+)+\d{0,2}", value, re.I)


def _is_random(value: str) -> bool:
    """Whether a value looks drawn at random: long, of letters and digits that change places often, spread over many characters."""
    if len(value) < 16 or _TEMPLATE.search(value) or "://" in value:
        return False
    if not any(_is_mixed(word) for word in re.split(r"[:./_-]+", value)):
        return False  # words and numbers with separators
    classes = [_class(character) for character in value]
    digits, letters = classes.count("9"), classes.count("a") + classes.count("A")
    base64 = len(value) >= 30 and digits and not {"+", "/"}.isdisjoint(value) and {"a", "A"} <= set(classes)
    if (digits < 2 and not base64) or letters < 2 or sum(one != other for one, other in pairwise(classes)) < max(6, len(value) / 5):
        return False
    return _entropy(value) >= 3.0


def _is_mixed(word: str) -> bool:
    return len(word) >= 7 and any(map(str.isdigit, word)) and any(map(str.isalpha, word))


def _class(character: str) -> str:
    return "9" if character.isdigit() else "A" if character.isupper() else "a" if character.isalpha() else "."


def _entropy(value: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())

"""Ask a model for a test that fails before a fix and passes after it. Whether it does is for the agent to find out."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, field

from fixbot.detectors.finding import Finding
from fixbot.detectors.source import SkippedFile, SourceFile
from fixbot.detectors.walk import descendants
from fixbot.patchers.model.context import Context, fenced, plain
from fixbot.patchers.model.conversation import Declined, Failed, Spend, masked
from fixbot.patchers.model.gate import code_problem
from fixbot.patchers.model.messages import Message, Model, ReplyError, Request
from fixbot.patchers.model.reply import EditError, abstention
from fixbot.patchers.model.secrets import unmask
from fixbot.prompts import load

MAX_LINES = 80
REPAIRS = 1
_EXAMPLE = 60  # lines of a test file of the repository, shown for its style
_OUTPUT = 4000
_FENCED = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SKIPS = re.compile(
    r"\bpytest\.(?:skip|xfail|importorskip|exit)\b|\bmark\.(?:skip|skipif|xfail)\b|\bunittest\.skip|\bgetsource\b|\bos\._exit\b|\bsys\.exit\b"
)


@dataclass(slots=True)
class ProofWriter:
    """The questions and answers about the test of one fix. ``example`` is (path, text) of a test file of the repository."""

    finding: Finding
    context: Context
    diff: str
    model: Model
    example: tuple[str, str] | None = None
    repairs: int = REPAIRS
    spend: Spend = field(default_factory=Spend)
    _messages: tuple[Message, ...] = ()

    def write(self) -> str:
        """The first test file. Raises Declined, Failed or ModelError."""
        parts = [self.context.text, f"# The fix\n\n{fenced(plain(self.diff))}"]
        if self.example is not None:
            path, text = self.example
            head = "\n".join(text.splitlines()[:_EXAMPLE])
            parts.insert(1, f"# A test file of the repository, for its style: {plain(path)}\n\n{fenced(plain(head))}")
        self._messages = (Message("system", load("proof")), Message("user", "\n\n".join(parts)))
        return self._ask()

    def rewrite(self, reason: str, output: str = "") -> str:
        """Tell why the test shows nothing and ask for another one. Raises as ``write`` does."""
        if not self.repairs:
            raise Failed(reason)
        self.repairs -= 1
        text = f"{load('repair-proof')}\n\n{plain(reason)}"
        self._messages += (Message("user", f"{text}\n\n{fenced(plain(output[-_OUTPUT:]))}" if output else text),)
        return self._ask()

    def _ask(self) -> str:
        while True:
            sent, secrets = masked(self._messages)
            place = f"{self.finding.rule} {self.finding.path}:{self.finding.span.line}"
            text = ""
            try:
                reply = self.model.complete(Request(sent, "proof", self.finding.fingerprint, place))
                self.spend.add(reply)
                text = unmask(reply.text, secrets).replace("\0", "")
                test = read_test(text)
                self._messages += (Message("assistant", text),)
                return test
            except ReplyError as error:
                if error.kind in ("filtered", "refusal"):
                    raise Declined(str(error)) from None
                reason = str(error)
            except EditError as error:
                reason = str(error)
            if not self.repairs:
                raise Failed(reason)
            self.repairs -= 1
            said = (Message("assistant", text),) if text else ()
            self._messages += (*said, Message("user", f"{load('repair-proof')}\n\n{plain(reason)}"))


def read_test(text: str) -> str:
    """The test file in a reply. Raises Declined for an abstention, EditError for anything that may not become a test."""
    blocks = [match[2] for match in _FENCED.finditer(text.replace("\r\n", "\n"))]
    tests = [block for block in blocks if "def test" in block]
    if not tests:
        reason = abstention(text)
        if reason:
            raise Declined(f"the model abstains: {plain(reason)}")
        raise EditError("the reply holds no test: answer with the whole test file in one fenced block")
    test = tests[-1].strip("\n") + "\n"
    problem = test_problem(test)
    if problem:
        raise EditError(problem)
    return test


def test_problem(test: str) -> str:
    """Why a text may not become a test file, ``""`` when it may."""
    if test.count("\n") > MAX_LINES:
        return f"the test has {test.count(chr(10))} lines, more than {MAX_LINES}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the test does not parse: {error}"
    if plain(test) != test:
        return "the test holds control characters or invisible ones"
    if _SKIPS.search(test):
        return "the test skips itself, ends the process or reads source code"
    if not any(isinstance(node, ast.Assert) for node in descendants(tree)) and "raises" not in test:
        return "the test asserts nothing"
    try:
        return code_problem(SourceFile("the test", test.encode()))
    except SkippedFile as error:
        return str(error)

"""The keys of a review and what they mean, for the screen and for questions and answers."""

from __future__ import annotations

from rich.text import Text

from fixbot.agent.decisions import Kind
from fixbot.agent.review.session import Muting

REASONS = {
    "c": ("false positive; mute it by a comment in the code", Kind.FALSE_POSITIVE, Muting.COMMENT),
    "b": ("false positive; add it to the baseline file", Kind.FALSE_POSITIVE, Muting.BASELINE),
    "f": ("false positive; only remember it", Kind.FALSE_POSITIVE, Muting.NOTHING),
    "w": ("wrong fix; the finding may be right", Kind.WRONG_FIX, Muting.NOTHING),
    "l": ("later", Kind.LATER, Muting.NOTHING),
}
"""How a finding can be rejected, by key."""

PLACES = {"t": ("the work tree", "tree"), "b": ("a new branch", "branch")}
"""Where accepted fixes can be applied, by key."""

HINTS = {
    "a": "accept",
    "r": "reject",
    "n": "skip",
    "e": "edit",
    "v": "verify",
    "w": "apply",
    "u": "undo",
    "/": "filter",
    "A": "all of rule",
    "s": "sides",
    "o": "source",
    "p": "page",
    "m": "model",
    "?": "help",
    "q": "quit",
}
"""The keys at the bottom of the screen; where it is narrow, those before the last two are left out."""

_FEW = 10
"""So many of them fit the narrowest screen."""


def hints(width: int) -> Text:
    """As many of the keys as go into so many columns."""
    shown = list(HINTS.items())
    while sum(len(f"{key} {what} ") for key, what in shown) - 1 > width and len(shown) > _FEW:
        shown.pop(-3)
    return Text(" ", no_wrap=True).join(Text.assemble((key, "bold"), f" {what}") for key, what in shown)


HELP = """\
Decide
  a         accept the fix
  A         accept all proven fixes of this rule
  r         reject: false positive, wrong fix, or later
  n, space  skip: leave it undecided
  u         undo the last decision

Change the fix
  e         edit it in $EDITOR; then the gate and the tests judge it
  m         ask the model again, with a hint (needs --model)
  v         verify it now with the repository's tests

Look
  up, down, j, k      another finding
  page up, page down  scroll the fix
  s         side by side, or one below the other
  /         filter by words; escape ends it
  o, p      the source, the rule's page

Finish
  w         apply what is accepted, to the work tree or to a new branch,
            with the comments and baseline entries of false positives
  q         quit; every decision is saved at once, and the review
            goes on where you left it

A fix is verified when no test got worse and passing tests executed
every changed line; checked when some lines were not executed."""

PLAIN_HELP = """\
y  accept this fix                       n  not now: leave it undecided
a  accept all proven fixes of this rule  r  reject: false positive, wrong fix, or later
s  show the fix side by side             o  show the code around the finding
p  show the rule's page                  e  edit the fix in $EDITOR, then verify it
m  ask the model for another fix         v  verify this fix now
u  undo the last decision                w  apply what is accepted
q  quit; what was decided is kept        ?  this help"""

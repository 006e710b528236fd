"""What became of pull requests, entered among the decisions: ``fixbot rules --stats`` counts them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from fixbot.agent.decisions import Decision, Kind, Source
from fixbot.agent.deliver.forge import State
from fixbot.agent.deliver.plan import Known
from fixbot.agent.store import Ledger


def remember(known: Iterable[Known], state: Path, repository: Path) -> None:
    """Enter merged pull requests as accepted fixes, those that somebody closed as declined ones; each once.

    That binds no later run: what may be offered again is decided on the forge, where people can ask for it. Raises LedgerError.
    """
    with closing(Ledger(state / "ledger.sqlite")) as ledger:
        entered = {(one.fingerprint, one.code, one.kind) for one in ledger.decisions(str(repository))}
        for one in known:
            if one.pull.state is State.OPEN or one.mark.retired:
                continue
            kind, code = Kind.ACCEPTED if one.pull.state is State.MERGED else Kind.DECLINED, f"pull request {one.pull.number}"
            for fix in one.mark.fixes:
                if (fix.finding, code, kind) not in entered:
                    now = int(time.time())
                    ledger.decide(Decision(str(repository), fix.finding, kind, fix.rule, code, code, now, Source.PULL_REQUEST))

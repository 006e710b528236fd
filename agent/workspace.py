"""The private copy of a repository that a run works in, and the way back: one branch, nothing else.

The user's work tree and index are never written, and no program named by the repository is ever started (see ``git``). Files are
written from blobs by this module, not by ``git checkout``: their bytes are the committed bytes, whatever ``.gitattributes`` says.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

from fixbot.agent import git, trees
from fixbot.agent.errors import BusyError, FixbotError, RepositoryError, UsageError

__all__ = [
    *("Workspace", "blob_id", "changed_lines", "commit", "deliver", "export", "free_branch", "list_files"),
    *("locate", "lock", "open_workspace", "read", "remove", "state_dir"),
]

"""Keys for models and tokens of forges, taken out of the environment when fixbot starts: no process that it starts inherits them."""

from __future__ import annotations

import os

_NAMES = ("FIXBOT_API_KEY", "OPENAI_API_KEY", "FIXBOT_FORGE_TOKEN", "GITHUB_TOKEN", "GH_TOKEN", "GITLAB_TOKEN")
CREDENTIALS = {name: os.environ.pop(name) for name in _NAMES if name in os.environ}

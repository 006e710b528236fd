"""Errors that end a command with one line that says what to do.

FixbotError            exit code 2; its text is shown as it is
|-- UsageError         a flag, path, rule or configuration key is wrong
|-- RepositoryError    the target is not a git repository that can be worked on
|-- SandboxError       no sandbox can be had, or it could not start
|-- NoEnvironmentError no interpreter with the target's dependencies
|-- ForgeError         the forge refused, cannot be reached or asks to wait
|-- LedgerError        the record of a run is missing, damaged or of another version
`-- BusyError          another run holds the repository
"""

from __future__ import annotations


class FixbotError(Exception):
    """An expected failure: ``message`` says what is wrong, ``cure`` what to do about it."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}\n  {self.cure}" if self.cure else self.message


class UsageError(FixbotError):
    """A flag, path, rule or configuration key is wrong."""


class RepositoryError(FixbotError):
    """The target is not a git repository that can be worked on."""


class SandboxError(FixbotError):
    """No sandbox can be had, or it could not start."""


class NoEnvironmentError(FixbotError):
    """No interpreter with the target's dependencies could be found or built."""


class ForgeError(FixbotError):
    """The forge refused, cannot be reached or asks to wait."""


class LedgerError(FixbotError):
    """The record of a run is missing, damaged or of another version."""


class BusyError(FixbotError):
    """Another run holds the repository."""

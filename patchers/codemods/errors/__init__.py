"""Codemods about how failures are handled."""

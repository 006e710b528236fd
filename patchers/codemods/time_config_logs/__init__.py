"""Codemods about time, configuration and logs."""

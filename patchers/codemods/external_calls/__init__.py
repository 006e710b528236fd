"""Codemods about calls that leave the process."""

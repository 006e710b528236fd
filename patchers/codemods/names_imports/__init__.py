"""Codemods about names and imports."""

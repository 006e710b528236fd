"""Codemods about declared and used packages."""

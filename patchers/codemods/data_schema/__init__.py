"""Codemods about data and its schema."""

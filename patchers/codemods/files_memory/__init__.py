"""Codemods about files and memory."""

"""Texts for models, as Markdown files beside this one. Nothing here yet: fixbot works without a model."""

"""Fixes written by a model: what it is told, what of its answer is taken, and what it may cost."""

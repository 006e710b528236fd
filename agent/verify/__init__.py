"""Prove fixes with the target's own tests: baseline, verdict by test, batches and bisection, line evidence."""

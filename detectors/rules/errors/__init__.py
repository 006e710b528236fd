"""Rules about how failures are handled."""

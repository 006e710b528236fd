"""Rules about what is started, kept and closed."""

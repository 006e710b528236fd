"""Rules about time, configuration and logs."""

"""Rules about calls that leave the process."""

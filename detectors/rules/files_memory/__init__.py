"""Rules about files and memory."""

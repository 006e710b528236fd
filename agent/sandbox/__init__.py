"""Run a command that is not trusted: no network, no secrets, no write outside one folder, bounded resources."""

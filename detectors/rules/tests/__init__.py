"""Rules about a repository's own tests."""

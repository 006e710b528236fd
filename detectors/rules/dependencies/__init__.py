"""Rules about declared and used packages."""

"""Rules about names and imports."""

"""Rules about data and its schema."""

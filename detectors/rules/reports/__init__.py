"""Rules whose findings come from what people and other tools have written."""

"""Other tools as sources of findings."""

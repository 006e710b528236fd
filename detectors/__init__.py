"""Find candidate bugs: bytes and ``ast`` in, findings out. No model, no network, no target code is run."""

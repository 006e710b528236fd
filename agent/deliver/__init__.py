"""Delivery: proven fixes of a run become pull requests (see ``deliver``), through a forge (see ``forge``)."""

"""The interactive review of a run: findings, diffs and evidence, decided one by one."""

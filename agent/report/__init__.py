"""Reports for people and tools, made from findings and run results and nothing else."""

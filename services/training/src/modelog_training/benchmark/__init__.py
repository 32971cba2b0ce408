"""The benchmark of stored model versions: a job's code, which the platform brings along."""

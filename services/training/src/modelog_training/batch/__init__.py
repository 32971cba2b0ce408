"""Batches: rows through a stored model version, as the code of a job."""

"""Training: jobs on Ray, with logs, leases and cancellation."""

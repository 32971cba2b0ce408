"""Service levels: what a deployment's traffic was held against, how much of its error budget is left, and alerts."""

"""A deployment whose models learn from labels: what was set, each step that they took, and when they were stopped."""

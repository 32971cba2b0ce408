"""A/B tests: two versions of a deployment, what became of their predictions, and what that says. Pure."""

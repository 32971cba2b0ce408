"""Who sees what: the one place that keeps restricted workspaces from those who are no members."""

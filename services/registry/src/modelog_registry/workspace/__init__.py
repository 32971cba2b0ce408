"""Workspaces of a tenant: teams' areas, their members and their projects."""

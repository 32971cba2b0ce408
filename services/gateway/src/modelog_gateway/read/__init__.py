"""The gateway's read tables: users."""

"""What the registry does because of its own events."""

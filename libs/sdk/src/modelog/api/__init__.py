"""The parts of the client, one for each kind of thing the platform holds."""

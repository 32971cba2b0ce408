"""What became of a version's file when it was tried, apart from traffic: each trial is an event."""

"""Models and runs by words."""

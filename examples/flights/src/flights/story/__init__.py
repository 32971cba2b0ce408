"""The story, a file for each of its nine steps; `tell.py` tells them in order."""

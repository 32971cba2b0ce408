"""Tools for the log of a platform that need no running platform: moving, verifying, backing up, restoring."""

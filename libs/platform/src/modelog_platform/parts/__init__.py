"""The embedded parts: servers that pip installs, each run as a process of its own."""

"""The registry: everything that has a name and versions."""

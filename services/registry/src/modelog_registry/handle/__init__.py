"""From a command to its events: check what it refers to, load the entity, decide, append."""

"""The log in words: a sentence for every event, and what changed between two positions."""

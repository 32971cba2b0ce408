"""The types that decisions are made with: ids, versions, errors, clock, context. Standard library only."""

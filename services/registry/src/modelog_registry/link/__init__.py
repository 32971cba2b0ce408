"""Links by which somebody without a membership, or without a token, sees one thing for a while."""

"""What is read of models: versions, changes, cards, policies, retirement."""

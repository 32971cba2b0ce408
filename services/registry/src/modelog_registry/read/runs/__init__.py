"""What is read of experiments, runs and logged models."""

"""What differs between runs, and between model versions."""

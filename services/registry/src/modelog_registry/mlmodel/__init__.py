"""What the files that MLflow writes beside a model tell of it. Pure: bytes in, parts of a command out."""

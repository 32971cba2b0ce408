"""gRPC: messages to commands, answers to messages, and nothing else."""

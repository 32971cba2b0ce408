"""The Open Inference Protocol, version 2: one data-plane core, and its thin gRPC and REST edges."""

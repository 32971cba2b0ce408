"""What was measured of a deployment's traffic: windows of requests, errors and latencies, each an event."""

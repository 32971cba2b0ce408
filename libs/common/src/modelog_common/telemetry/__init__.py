"""What a process tells about itself: JSON log lines, traces that cross gRPC and Kafka, metrics.

logs.configure("registry", "info")
structlog.get_logger().info("sealed", batches=3)        # {"event": "sealed", "batches": 3, "service": ..., ...}

traces.configure("registry", otlp_endpoint)             # "" exports nothing; spans still carry ids
traces.inject(headers)                                  # adds traceparent to a list of (str, bytes)
with traces.span("seal", parent=traces.extract(headers)):
    traces.trace_id()

metrics.configure("registry", otlp_endpoint)
"""

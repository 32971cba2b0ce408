"""What a process tells about itself: JSON log lines, traces that cross gRPC and Kafka, metrics.

    logs.configure("registry", "info"); log = structlog.get_logger(); log.info("sealed", batches=3)
    traces.configure("registry", otlp_endpoint); traces.inject(kafka_headers); with traces.span("seal", parent=traces.extract(h)): ...
    metrics.calls() / names in metrics.py
"""

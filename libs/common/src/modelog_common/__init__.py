"""What every Modelog service stands on: domain types, events, bus, read tables, stores, rpc, security, telemetry."""

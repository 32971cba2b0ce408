"""What carries releases out: it watches requests and outcomes, hands in evidence, and moves the traffic as decided."""

"""The gateway: REST, identity and the web page."""

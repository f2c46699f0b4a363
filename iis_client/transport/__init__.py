"""HTTP to the service: connection, retries, polling, server-sent events, uploads."""

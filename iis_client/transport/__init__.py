"""HTTP to the service: address, retries, pages, long polls, server-sent events, uploads."""

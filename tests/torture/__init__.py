"""Attacks on what the service promises, with real processes, servers and bytes: `make torture`. The suite keeps a short version of each."""

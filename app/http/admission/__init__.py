"""Admission of requests before authentication: requests in flight, turns at the database, and bytes of bodies, bounded for each client."""

"""HTTP concerns shared by all resources: authentication, limits, idempotency, caching, problems, pagination."""

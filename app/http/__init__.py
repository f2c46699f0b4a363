"""Everything each request passes: authentication, limits, idempotency, caching, problems, pagination."""

"""Rate limits: one for each owner of API keys, one for each address without a known key, and a low one for failed authentication."""

from app.rate_limits.buckets import Buckets, Limit
from app.rate_limits.middleware import RateLimitMiddleware

__all__ = ["Buckets", "Limit", "RateLimitMiddleware"]

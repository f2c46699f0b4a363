"""How fast one may ask: a limit for each API key, one for each address without a known key, and a low one for keys that open nothing."""

from app.rate_limits.buckets import Buckets, Limit
from app.rate_limits.middleware import RateLimitMiddleware

__all__ = ["Buckets", "Limit", "RateLimitMiddleware"]

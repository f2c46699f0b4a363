"""Feature extraction: visual elements, decoding, shards, and the arrays that a score is computed from."""

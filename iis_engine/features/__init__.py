"""Feature extraction: visual elements, decoding, batched embedding, shards, and the feature matrices of a score."""

"""Demonstrations that train small networks and score them over REST (`make demo`)."""

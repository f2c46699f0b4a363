"""Statistics over the results of many jobs."""

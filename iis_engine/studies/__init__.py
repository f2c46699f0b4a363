"""Statistics of a study over the results of its jobs."""

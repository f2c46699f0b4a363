"""Progress of a job: throttled reports, its stages, and their expected times."""

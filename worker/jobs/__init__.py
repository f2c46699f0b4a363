"""Jobs in the parent: claim, attempt, pipeline, artifacts and results."""

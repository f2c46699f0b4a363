"""Studies: requests, the study file, grids and their rules, answers, statistics and leaderboards."""

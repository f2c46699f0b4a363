"""Jobs: requests of each kind, answers, and events."""

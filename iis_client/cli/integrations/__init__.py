"""Commands that connect the service to other programs: experiment trackers and language models."""

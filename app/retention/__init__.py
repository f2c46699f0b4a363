"""Administration of retention periods."""

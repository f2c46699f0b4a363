"""Options that several commands share, and the requests that they make."""

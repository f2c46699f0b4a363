"""The worker: claim jobs from PostgreSQL and run them in a confined child process. Redis messages only wake it up."""

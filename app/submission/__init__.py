"""POST /v1/jobs: accept a job of any kind."""

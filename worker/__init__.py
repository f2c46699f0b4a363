"""The worker: takes jobs from PostgreSQL when Redis rings and computes them in a process apart. No HTTP here."""

"""Stages of jobs, run in the confined process: each reads and writes files in a workspace."""

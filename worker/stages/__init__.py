"""Stages of jobs in the confined process: files in, files out."""

"""Deletion of rows: finished jobs, expired rows, rows beyond their retention."""

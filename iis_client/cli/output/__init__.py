"""Terminal output: tables and figures in text."""

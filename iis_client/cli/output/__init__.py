"""Terminal output: tables and sentences."""

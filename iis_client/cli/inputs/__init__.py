"""Resources that a command names, and files that it registers."""

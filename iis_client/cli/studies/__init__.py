"""The `iis study` commands: read study files, register their inputs, submit studies."""

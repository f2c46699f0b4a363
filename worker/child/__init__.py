"""The confined process: request loop and registry of stages."""

"""Commands of the service on this machine, and of the profiles of services elsewhere."""

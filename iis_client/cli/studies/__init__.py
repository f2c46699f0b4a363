"""Studies in files and on the command line. The calls that they come to are in iis_client.resources.studies."""

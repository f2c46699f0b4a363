"""Server of the Model Context Protocol: tools for language models to score networks, built on IISClient and the protocol's own SDK."""

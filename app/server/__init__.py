"""The HTTP server of the API: uvicorn with deadlines for headers, small accept batches and trusted proxies."""

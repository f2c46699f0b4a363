"""Addresses that webhooks may reach, and signatures of deliveries; used by API and worker, and free of HTTP."""

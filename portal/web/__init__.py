"""Pages and the JSON interface: Flask over the services, never SQL."""

"""One short method for each endpoint of the Management API."""

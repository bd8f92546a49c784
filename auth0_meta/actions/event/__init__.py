"""The post-login event: read-only, with everything that its source has."""

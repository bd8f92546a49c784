"""The post-login event: read-only, with everything its source knew."""

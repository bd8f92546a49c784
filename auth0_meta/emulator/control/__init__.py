"""The page of a running tenant, and the routes behind it."""

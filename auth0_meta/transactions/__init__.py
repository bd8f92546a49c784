"""One unit of work on one user's metadata."""

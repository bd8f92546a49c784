"""HTML pages that need no script, no other file and no network; PURE."""

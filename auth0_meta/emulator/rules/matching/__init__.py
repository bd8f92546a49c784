"""Which requests a test or a fault means, and which came closest."""

"""What a client says of its own work: the routes that requests are counted under, and what may stand in a log."""

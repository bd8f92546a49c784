"""Move values out of profiles into an external store: the rule, and the care for what it moves."""

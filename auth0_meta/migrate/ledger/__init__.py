"""The job file: what is planned and what became of it."""

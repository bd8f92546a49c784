"""From a source of users to a job file."""

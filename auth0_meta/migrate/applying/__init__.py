"""From a job file to the tenant, and back."""

"""A local tenant alongside other programs: serve one, run a command with one, find a running one."""

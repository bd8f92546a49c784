"""A local tenant beside other programs: serve one, run a command with one, find one that is served."""

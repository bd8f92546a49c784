"""Messages between the servers and the handlers, and the wording of refusals."""

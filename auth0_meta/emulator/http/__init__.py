"""What passes between the servers and the handlers, and how refusals are worded."""

"""Paths that a user names: judged by what they lead to before anything is opened, changed or replaced there."""

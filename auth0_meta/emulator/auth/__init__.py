"""The Authentication API: tokens, logins, signups."""

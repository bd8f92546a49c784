"""The Management API, one file for each tag of Auth0's reference."""

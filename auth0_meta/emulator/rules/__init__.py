"""What Auth0 allows and computes: pure functions and values."""

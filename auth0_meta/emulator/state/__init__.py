"""What one local tenant knows: no HTTP, no rules."""

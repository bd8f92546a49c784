"""What one local tenant knows: no HTTP, no rule."""

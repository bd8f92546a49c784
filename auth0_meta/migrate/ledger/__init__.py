"""What is planned and what became of it, on disk."""

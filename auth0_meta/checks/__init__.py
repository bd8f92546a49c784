"""What is wrong with a key, a path, a value or a size: one rule for transactions, batches, the audit and the docs; PURE."""

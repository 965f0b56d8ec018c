"""Networks by name, their training, and what carries knowledge from one to another."""

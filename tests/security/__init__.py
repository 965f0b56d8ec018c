"""Who attacks the page, and what comes of it; and secrets, which must not be seen anywhere."""

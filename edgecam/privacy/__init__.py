"""What must not be seen, made unseeable before any sink gets a picture; see ``docs/privacy.md``."""

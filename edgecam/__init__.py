"""edgecam: live image recognition on small devices."""

__version__ = "0.1.0"

"""Servers and other things that several tests need."""

"""Smaller networks: channels that leave, or weights that become zero, with fine-tuning in between."""

"""Quantisation-aware training: fine-tuning of a network that already computes as if it were int8."""

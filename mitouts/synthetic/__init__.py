"""Synthetic data with known truth: phantom fields and slides, and fields made from AMi-Br crops."""

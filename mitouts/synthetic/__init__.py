"""Makes data with known truth: phantom fields and slides, and fields from AMi-Br crops."""

"""Commands: one module each, which `mitouts NAME` and `tools/NAME.py` call."""

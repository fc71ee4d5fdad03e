"""Overlays, plots and tables: everything that people look at. Nothing here needs a display or touches pyplot."""

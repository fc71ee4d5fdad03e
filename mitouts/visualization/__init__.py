"""Draws overlays, sheets, plots and tables. Nothing here needs a display or touches pyplot."""

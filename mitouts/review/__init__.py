"""Shows hard samples to raters in the browser, and writes the corrected labels."""

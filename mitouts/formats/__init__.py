"""Reads and writes files: annotations, predictions, reports, tables, GeoJSON, Grand Challenge; one module each."""

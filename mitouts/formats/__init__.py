"""Reads and writes files: annotations, predictions, reports, tables, GeoJSON, Grand Challenge; a module a format."""

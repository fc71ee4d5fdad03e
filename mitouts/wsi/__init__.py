"""Runs a model on whole slides: tiles, score map, tissue, counts, hottest regions, reports and cohorts."""

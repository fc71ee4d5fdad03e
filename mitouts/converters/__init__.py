"""Readers of foreign data sets: each gives a source set, which becomes an annotation file."""

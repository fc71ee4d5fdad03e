"""Helpers for files, command lines, processes and messages."""

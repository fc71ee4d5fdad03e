"""Files that are read and written, one module a format, and what label files of all kinds have in common."""

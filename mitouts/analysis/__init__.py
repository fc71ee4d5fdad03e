"""From the folders of finished runs to tables: reading suites, counting per case, statistics, rendering."""

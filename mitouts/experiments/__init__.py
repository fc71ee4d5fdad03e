"""Runs suites of trainings, and turns finished runs into statistics, tables and figures."""

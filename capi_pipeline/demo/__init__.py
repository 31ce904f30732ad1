"""A demo shop: realistic, messy raw tables with a known truth."""

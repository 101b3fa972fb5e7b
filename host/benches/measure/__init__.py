"""Measures what Tollgate costs, beside other proxies and by itself. See `../README.md`."""

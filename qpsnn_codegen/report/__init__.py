"""Reports: what a compilation found out, as plain data and as text."""

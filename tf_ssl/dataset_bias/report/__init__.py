"""The report of a diagnosis: page, charts, pictures, tables."""

"""What all reports share: schema, statistics, charts, tables, HTML."""

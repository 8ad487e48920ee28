"""The data catalog: databases and tables, spoken to as AWS Glue is."""

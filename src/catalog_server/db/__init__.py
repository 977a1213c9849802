"""The durable truth: engine, tables, dialect differences, locks and migrations. SQL statements live in `sql.py` files
beside the domain that owns them."""

"""One concern per file; the order stands in http/app.py."""

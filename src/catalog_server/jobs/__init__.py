"""Refreshes in the background: a durable queue in the database, and the workers that drain it.

What a job does is passed in: nothing here knows catalogs, sources or HTTP.
"""

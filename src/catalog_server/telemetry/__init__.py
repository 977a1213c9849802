"""What the server tells of itself: logs, measurements, traces. Knows nothing of catalogs."""

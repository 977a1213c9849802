"""The in-memory index that answers all reads (architecture.md 5).

An Index is a snapshot: nothing in it changes after it was published, so a request may use it without a lock, and a
change makes a new one that shares all that did not change.
"""

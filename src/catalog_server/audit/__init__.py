"""The record of what was done: one event for each change, denial of a change, and end of a job (spec platform.md 5).

Nothing here knows HTTP, jobs or the configuration: whoever makes an event says all that it holds.
"""

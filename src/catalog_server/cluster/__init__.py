"""Several replicas as one: who of them leads (elector.py, by a lease), and what that gives them (term.py)."""

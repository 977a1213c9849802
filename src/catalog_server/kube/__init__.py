"""The one door to the cluster: where it is and who we are (access.py), and a client for its REST API (client.py)."""

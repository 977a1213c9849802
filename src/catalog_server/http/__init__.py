"""The HTTP edge. Requests and answers are values: a handler returns a Response, and nothing but app.py sends one."""

"""The commands: what is typed into a shell or started in a container."""

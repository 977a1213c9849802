"""Who may do what: permissions, and who asks."""

"""One module for each migration, numbered; never changed after its release."""

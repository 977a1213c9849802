"""What a kind of asset is: one typed class with marks, and everything that derives from it."""

"""The commands, a module for each family. A module is imported when one of its commands is asked for."""

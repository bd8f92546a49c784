"""The one literal that names this release; setup.cfg reads it without importing anything."""

__version__ = "0.2.0"

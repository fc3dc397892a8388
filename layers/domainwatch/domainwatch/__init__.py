"""Domainwatch: watches domain names and says, without ever being wrong, when one becomes available."""

__version__ = "0.1.0"

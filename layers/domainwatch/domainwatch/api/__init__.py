"""The HTTP API: requests in, bodies and problems out. Pure over ports; the doorway is `functions/api.py`."""

from domainwatch.api.app import Api, World

__all__ = ["Api", "World"]

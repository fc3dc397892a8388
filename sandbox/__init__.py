"""A small internet on one machine: DNS, RDAP, WHOIS, IANA's two services, a domain list API, a callback receiver.

It speaks the real protocols on loopback, from scenarios that are data, and shares no code with the product it tests.
"""

from .document import ScenarioError
from .faults import Fault, FaultError
from .scenario import Scenario, State, load, parse
from .world import World, serve

__all__ = ["Fault", "FaultError", "Scenario", "ScenarioError", "State", "World", "load", "parse", "serve"]

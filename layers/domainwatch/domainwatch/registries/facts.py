"""Our own table: what IANA does not say of registries' services. Each entry names where it is from and when it was
read.

Facts about a server belong to its host, never to a zone: one host serves many zones, and a zone may move. A zones file
overrides everything here, and nothing here is used for a zone that the zones file says anything about.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from domainwatch.ports import Limit


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoisFact:
    """How one WHOIS host wants to be asked. `query` is a template with `{name}`, which will be the A-label."""

    query: str = "{name}"
    charset: str | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFact:
    """What one service's operator allows a client."""

    limit: Limit
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFact:
    """A service that IANA's files do not list: `at` is an RDAP base URL or a WHOIS host."""

    at: str
    source: str


_VERISIGN = WhoisFact(
    query="domain {name}",
    source="whois.verisign-grs.com, `help`: the keyword keeps hosts and registrars of the same name out; 2026-07",
)
WHOIS_HOSTS: Mapping[str, WhoisFact] = {
    "whois.denic.de": WhoisFact(
        query="-T dn,ace {name}",
        charset="utf-8",
        source="DENIC-12p, public-whois documentation 2.4: a bare query gives the status only; 2016-04",
    ),
    "whois.jprs.jp": WhoisFact(
        query="{name}/e",
        charset="iso-2022-jp",
        source="the server's own header: `/e` leaves Japanese out, which would be ISO-2022-JP; 2024-10",
    ),
    "whois.verisign-grs.com": _VERISIGN,
    "ccwhois.verisign-grs.com": _VERISIGN,
    "tvwhois.verisign-grs.com": _VERISIGN,
    "whois.dk-hostmaster.dk": WhoisFact(
        query="--show-handles {name}", source="DK Hostmaster WHOIS service specification 5.0; 2021-09"
    ),
    "whois.punktum.dk": WhoisFact(
        query="--show-handles {name}", source="DK Hostmaster WHOIS service specification 5.0; 2021-09"
    ),
}

_NOMINET = LimitFact(limit=Limit(per_s=5.0, per_day=1_000), source="Nominet, WHOIS acceptable use: 5/s, 1,000 per 24 h")
_AFNIC = LimitFact(limit=Limit(per_s=1.0, per_day=7_200), source="AFNIC, WHOIS terms: 7,200 per 24 h and address")
_CENTRALNIC = LimitFact(limit=Limit(per_s=2.0), source="CentralNic, WHOIS terms: 1,800 per 15 minutes")
_RIPN = LimitFact(limit=Limit(per_s=0.2), source="RIPN/TCI, terms of the WHOIS service: 12 per minute")
_IE = LimitFact(limit=Limit(per_s=0.1, per_day=100), source=".IE, WHOIS terms: 100 per 24 h")
_DK = LimitFact(limit=Limit(per_s=1.0), source="DK Hostmaster WHOIS service specification: 1/s, one connection per /24")

# By kind and host. They hold for the service's usual port only.
LIMITS: Mapping[tuple[str, str], LimitFact] = {
    ("whois", "whois.nic.uk"): _NOMINET,
    ("whois", "whois.nic.fr"): _AFNIC,
    ("whois", "whois.centralnic.com"): _CENTRALNIC,
    ("whois", "whois.ripn.net"): _RIPN,
    ("whois", "whois.tcinet.ru"): _RIPN,
    ("whois", "whois.weare.ie"): _IE,
    ("whois", "whois.iedr.ie"): _IE,
    ("whois", "whois.domainregistry.ie"): _IE,
    ("whois", "whois.dk-hostmaster.dk"): _DK,
    ("whois", "whois.punktum.dk"): _DK,
    ("whois", "whois.hkirc.hk"): LimitFact(
        limit=Limit(per_s=0.09), source="HKIRC's own refusal: at least 10 seconds between enquiries"
    ),
    ("whois", "whois.domain-registry.nl"): LimitFact(
        limit=Limit(per_s=0.9), source="SIDN's own refusal: one request per second"
    ),
    ("whois", "whois.dns.be"): LimitFact(
        limit=Limit(per_s=0.8), source="DNS Belgium: 50 per minute of its availability service; WHOIS kept at the same"
    ),
    ("rdap", "rdap.nominet.uk"): _NOMINET,
    ("rdap", "rdap.lacnic.net"): LimitFact(limit=Limit(per_s=0.16), source="LACNIC, RDAP terms: 10 per minute"),
}

# No terms are known of most services. RDAP was made to be asked by machines and answers 429 when it is too much;
# refusals halve what is asked. WHOIS servers rather stop answering, and the tightest common terms of larger
# registries are one request per second.
DEFAULT_LIMITS: Mapping[str, Limit] = {"rdap": Limit(per_s=2.0), "whois": Limit(per_s=1.0)}

_ZONE_DATABASE = "Public Zone Database (MIT); 2026-07"
_IDENTITY_DIGITAL = ServiceFact(at="https://rdap.identitydigital.services/rdap/", source=_ZONE_DATABASE)
RDAP_BASES: Mapping[str, ServiceFact] = {
    "ac": _IDENTITY_DIGITAL,
    "ch": ServiceFact(at="https://rdap.nic.ch/", source=_ZONE_DATABASE),
    "de": ServiceFact(at="https://rdap.denic.de/", source="DENIC, RDAP service for .de domains; 2024-05"),
    "io": _IDENTITY_DIGITAL,
    "li": ServiceFact(at="https://rdap.nic.li/", source=_ZONE_DATABASE),
    "me": _IDENTITY_DIGITAL,
    "sh": _IDENTITY_DIGITAL,
}
WHOIS_SERVERS: Mapping[str, ServiceFact] = {
    "ac.uk": ServiceFact(at="whois.ja.net", source=_ZONE_DATABASE),
    "co.za": ServiceFact(at="coza-whois.registry.net.za", source=_ZONE_DATABASE),
    "net.za": ServiceFact(at="net-whois.registry.net.za", source=_ZONE_DATABASE),
    "org.za": ServiceFact(at="org-whois.registry.net.za", source=_ZONE_DATABASE),
    "web.za": ServiceFact(at="web-whois.registry.net.za", source=_ZONE_DATABASE),
}
# Zones that answer for names nobody registered.
WILDCARDS: Mapping[str, str] = {"ph": _ZONE_DATABASE, "vg": _ZONE_DATABASE, "ws": _ZONE_DATABASE}

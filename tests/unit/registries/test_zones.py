"""What is known of zones: which source wins, longest matches, limits by service, and entries that make no sense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domainwatch.names import Name
from domainwatch.ports import Limit, WhoisService
from domainwatch.registries import facts
from domainwatch.registries.zones import ZoneKnowledge, base_service, host_port

BOOTSTRAP = {"services": [[["uk"], ["https://rdap.uk.test/"]], [["gov.uk"], ["https://rdap.gov.test/"]]]}


def name(text: str, suffix: str = "") -> Name:
    return Name(text=text, suffix=suffix or text.partition(".")[2])


def known(zones: dict[str, Any] | None = None, **learned: str | None) -> ZoneKnowledge:
    return ZoneKnowledge(zones_file=zones or {}, bootstrap=BOOTSTRAP, learned_whois=learned)


def test_the_bootstraps_longest_match_is_asked() -> None:
    zones = known()
    assert zones.rdap_bases(name("x.co.uk")) == ("https://rdap.uk.test/",)
    assert zones.rdap_bases(name("x.gov.uk")) == ("https://rdap.gov.test/",)
    assert zones.rdap_bases(name("x.test")) == ()


def test_the_zones_file_wins_and_its_longest_match_counts() -> None:
    zones = known(
        {"uk": {"rdap": ["http://127.0.0.1:8/uk/"]}, "co.uk": {"rdap": "http://127.0.0.1:8/co/"}, "me.uk": {}}
    )
    assert zones.rdap_bases(name("x.co.uk")) == ("http://127.0.0.1:8/co/",)
    assert zones.rdap_bases(name("x.gov.uk")) == ("http://127.0.0.1:8/uk/",)
    assert zones.rdap_bases(name("x.me.uk")) == ("http://127.0.0.1:8/uk/",)


def test_an_empty_list_or_text_means_that_there_is_none() -> None:
    zones = known({"uk": {"rdap": [], "whois": ""}}, uk="whois.uk.test")
    assert zones.rdap_bases(name("x.uk")) == ()
    assert zones.whois(name("x.uk")) is None


def test_our_own_facts_help_only_where_nobody_else_says() -> None:
    assert known().rdap_bases(name("x.de")) == ("https://rdap.denic.de/",)
    assert known({"de": {"whois": "127.0.0.1:4343"}}).rdap_bases(name("x.de")) == ()
    assert known().whois(name("x.ac.uk")) == WhoisService(service="whois.ja.net:43")
    assert known({"ac.uk": {"control": "ox.ac.uk"}}).whois(name("x.ac.uk")) is None
    assert known().wildcard("ws") is True
    assert known({"ws": {}}).wildcard("ws") is None


def test_whois_is_the_zones_its_parents_or_the_learned_one() -> None:
    zones = known({"co.uk": {"whois": "WHOIS.co.test"}, "net.uk": {}}, uk="whois.uk.test:4343", test="", gone=None)
    assert zones.whois(name("x.co.uk")) == WhoisService(service="whois.co.test:43")
    assert zones.whois(name("x.net.uk")) == WhoisService(service="whois.uk.test:4343")
    assert zones.whois(name("x.test")) is None
    assert zones.whois(name("x.gone")) is None


def test_the_query_is_known_by_host_and_the_zones_file_overrides_it() -> None:
    assert known(de="whois.denic.de").whois(name("x.de")) == WhoisService(
        service="whois.denic.de:43", query="-T dn,ace {name}", charset="utf-8"
    )
    # Another port is another server, and a zone alone tells nothing of its server.
    assert known(de="whois.denic.de:4343").whois(name("x.de")) == WhoisService(service="whois.denic.de:4343")
    assert known(de="127.0.0.1").whois(name("x.de")) == WhoisService(service="127.0.0.1:43")
    told = {"de": {"whois": "whois.denic.de", "whois_query": "ask {name}", "whois_charset": "koi8-r"}}
    assert known(told).whois(name("x.de")) == WhoisService(
        service="whois.denic.de:43", query="ask {name}", charset="koi8-r"
    )


def test_control_name_servers_and_wildcards_are_the_suffixs_own() -> None:
    zones = known({"uk": {"control": "BBC.uk.", "nameservers": ["127.0.0.1:5353", "ns.uk.test"], "wildcard": False}})
    assert (zones.control("uk"), zones.control("co.uk")) == ("bbc.uk", None)
    assert zones.nameservers("uk") == ("127.0.0.1:5353", "ns.uk.test")
    assert zones.nameservers("co.uk") == ()
    assert (zones.wildcard("uk"), zones.wildcard("co.uk")) == (False, None)


def test_limits_belong_to_services_and_the_tightest_counts() -> None:
    zones = known(
        {
            "a": {"rdap": ["http://127.0.0.1:8/a/"], "rdap_rate": 5, "whois": "127.0.0.1:9", "whois_rate": 0.5},
            "b": {"rdap": ["http://127.0.0.1:8/b/"], "rdap_rate": 2.5, "rdap_daily": 100, "whois": "127.0.0.1:9"},
            "co.uk": {"rdap_rate": 7},
        }
    )
    assert zones.limit("rdap", "127.0.0.1:8") == Limit(per_s=2.5, per_day=100)
    assert zones.limit("whois", "127.0.0.1:9") == Limit(per_s=0.5)
    assert zones.limit("rdap", "rdap.uk.test:443") == Limit(per_s=7.0)


def test_limits_fall_back_to_facts_and_then_to_caution() -> None:
    zones = known({"fr": {"whois": "whois.nic.fr", "whois_daily": 50}})
    assert zones.limit("whois", "whois.nic.uk:43") == Limit(per_s=5.0, per_day=1_000)
    assert zones.limit("whois", "whois.nic.uk:4343") == facts.DEFAULT_LIMITS["whois"]
    assert zones.limit("whois", "whois.nic.fr:43") == Limit(per_s=1.0, per_day=50)
    assert zones.limit("rdap", "rdap.nobody.test:443") == facts.DEFAULT_LIMITS["rdap"]


def test_a_top_level_domain_exists_where_anybody_says_so() -> None:
    zones = known({"co.aa": {}, "bb": {}}, cc="whois.cc.test", dd="", ee=None)
    assert [zones.exists(tld) for tld in ("aa", "bb", "uk", "cc", "dd")] == [True] * 5
    assert zones.exists("ee") is False
    assert zones.exists("ff") is None


def test_what_makes_no_sense_is_reported_and_left_out() -> None:
    zones = known(
        {
            "aa": {
                "nameservers": ["127.0.0.1:99999", "ok.test"],
                "rdap": ["ftp://x/", 3],
                "whois": 7,
                "control": "elsewhere.bb",
                "rdap_rate": -1,
                "whois_rate": True,
                "rdap_daily": "many",
                "whois_daily": 0,
                "whois_query": "no place for it",
                "whois_charset": "klingon-8",
                "wildcard": "yes",
            },
            "bb": [],
            "cc": {"rdap": ["javascript:alert(1)"], "whois": "a b"},
        }
    )
    assert zones.nameservers("aa") == ("ok.test",)
    assert zones.whois(name("x.aa")) is None
    assert zones.rdap_bases(name("x.cc")) == ()
    fields = {problem.split(": ")[1] for problem in zones.problems if problem.startswith("aa")}
    assert fields == {
        *("nameservers", "rdap", "whois", "control", "rdap_rate", "whois_rate", "rdap_daily", "whois_daily"),
        *("whois_query", "whois_charset", "wildcard"),
    }
    assert [problem for problem in zones.problems if problem.startswith(("bb", "cc"))] == [
        "bb: not an object",
        "cc: rdap: no http or https URL: 'javascript:alert(1)'",
        "cc: whois: not host[:port]",
    ]


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("Whois.Test", "whois.test:43"),
        ("whois.test.:44", "whois.test:44"),
        ("127.0.0.1:8", "127.0.0.1:8"),
        ("[2001:DB8::1]:8", "[2001:db8::1]:8"),
        ("2001:db8::1", "[2001:db8::1]:43"),
        ("whois.संगठन", "whois.xn--i1b6b1a6a2e:43"),
        ("", None),
        ("whois.test:0", None),
        ("whois.test:x", None),
        ("a b", None),
        ("http://whois.test", None),
    ],
)
def test_host_and_port(text: str, service: str | None) -> None:
    assert host_port(text, 43) == service


@pytest.mark.parametrize(
    ("base", "service"),
    [
        ("https://rdap.test/", "rdap.test:443"),
        ("HTTP://Rdap.test:8080/x/", "rdap.test:8080"),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443"),
        ("ftp://rdap.test/", None),
        ("https://", None),
        ("https://rdap.test:x/", None),
        ("https://[::1/", None),
    ],
)
def test_the_service_of_a_base(base: str, service: str | None) -> None:
    assert base_service(base) == service


def test_every_fact_names_its_source() -> None:
    tables: list[Any] = [facts.WHOIS_HOSTS, facts.LIMITS, facts.RDAP_BASES, facts.WHOIS_SERVERS]
    for table in tables:
        assert all(fact.source for fact in table.values())
    assert all("{name}" in fact.query for fact in facts.WHOIS_HOSTS.values())
    assert all(base_service(fact.at) for fact in facts.RDAP_BASES.values())
    assert all(host_port(fact.at, 43) for fact in facts.WHOIS_SERVERS.values())


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "nameservers",
    "rdap",
    "whois",
    "control",
    "rdap_rate",
    "whois_daily",
    "whois_query",
    "whois_charset",
    "wildcard",
]


@given(
    st.dictionaries(
        st.sampled_from(["aa", "co.aa", "bb"]), st.dictionaries(st.sampled_from(FIELDS), VALUES), max_size=3
    )
)
def test_no_zones_file_raises(zones_file: dict[str, Any]) -> None:
    zones = known(zones_file)
    asked = name("x.co.aa")
    service = zones.whois(asked)
    zones.limit("whois", service.service if service else "x:43")
    assert all(base_service(base) for base in zones.rdap_bases(asked))

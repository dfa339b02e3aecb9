"""Which site stands behind a domain or a host; a name that only looks like a provider's is nobody's."""

import pytest

from mailer.smtp import sites


@pytest.mark.parametrize(
    ("domain", "site"),
    [
        ("gmail.com", "google.com"),
        ("GMail.com.", "google.com"),
        ("googlemail.com", "google.com"),
        ("yahoo.co.uk", "yahoodns.net"),
        ("aol.com", "yahoodns.net"),
        ("hotmail.fr", "olc.protection.outlook.com"),
        ("msn.com", "olc.protection.outlook.com"),
        ("me.com", "icloud.com"),
        ("gmx.at", "gmx.net"),
        ("web.de", "web.de"),
        ("comcast.net", "comcast.net"),
        ("example.org", None),
        ("yahoo.co.jp", None),
        ("notgmail.com", None),
        ("gmail.com.example.org", None),
        ("", None),
    ],
)
def test_the_site_of_a_domain(domain: str, site: str | None) -> None:
    assert sites.site_of_domain(domain) == site


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("aspmx2.googlemail.com", "google.com"),
        ("mta5.am0.yahoodns.net.", "yahoodns.net"),
        ("hotmail-com.olc.protection.outlook.com", "olc.protection.outlook.com"),
        ("example-org.mail.protection.outlook.com", "mail.protection.outlook.com"),
        ("example-org.a-v1.mx.microsoft", "mail.protection.outlook.com"),
        ("mx01.mail.icloud.com", "icloud.com"),
        ("MX00.GMX.NET", "gmx.net"),
        ("mxa.notgoogle.com", None),
        ("google.com.example.org", None),
        ("com", None),
        ("", None),
    ],
)
def test_the_site_of_a_host(host: str, site: str | None) -> None:
    assert sites.site_of_host(host) == site


@pytest.mark.parametrize(
    ("hosts", "site"),
    [
        (["alt1.aspmx.l.google.com", "mx.example.org"], "google.com"),
        (["mx1.mail.example.org", "mx2.example.org"], "example.org"),
        (["mx.one.co.uk"], "one.co.uk"),
        (["mx.a.b.com.br"], "b.com.br"),
        (["co.uk"], "co.uk"),
        (["mx.com.de"], "mx.com.de"),
        (["localhost"], "localhost"),
    ],
)
def test_hosts_of_nobody_known_are_grouped_by_their_organisation(hosts: list[str], site: str) -> None:
    assert sites.site_of_hosts(hosts) == site


def test_tls_is_required_by_site_and_by_domain() -> None:
    assert sites.offers_tls("google.com")
    assert sites.offers_tls("gmail.com")
    assert not sites.offers_tls("example.org")


def test_every_table_is_in_small_letters_and_every_tls_site_is_known() -> None:
    names = [*sites.KNOWN_DOMAINS, *sites.KNOWN_DOMAINS.values(), *sites.KNOWN_SUFFIXES]
    assert [name for name in names if name != name.lower() or name.endswith(".")] == []
    assert set(sites.KNOWN_SUFFIXES.values()) >= sites.TLS_SITES
    assert max(len(site) for site in sites.KNOWN_SUFFIXES.values()) <= 64


def test_the_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        sites.KNOWN_DOMAINS["example.org"] = "google.com"  # type: ignore[index]

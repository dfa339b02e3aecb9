"""Receiving sites: which machines stand behind a domain, and what is known of them.

Pure tables of public mail providers. A site is named after the suffix its MX hosts
share, and all domains behind it share its limits. This module looks nothing up, and it
must never name a site after a domain that is not in its tables: a small organisation's
own domain is a fact about its people.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

GOOGLE = "google.com"
YAHOO = "yahoodns.net"
MICROSOFT = "olc.protection.outlook.com"
MICROSOFT_BUSINESS = "mail.protection.outlook.com"
APPLE = "icloud.com"
GMX = "gmx.net"
WEB_DE = "web.de"
COMCAST = "comcast.net"
T_ONLINE = "t-online.de"
FREENET = "freenet.de"
PROTON = "protonmail.ch"
FASTMAIL = "messagingengine.com"
ZOHO = "zoho.com"
YANDEX = "yandex.net"
MAIL_RU = "mail.ru"
TENCENT = "qq.com"
NETEASE = "netease.com"
NAVER = "naver.com"
ORANGE = "orange.fr"
FREE = "free.fr"
LA_POSTE = "laposte.net"
LIBERO = "libero.it"
SEZNAM = "seznam.cz"
WP = "wp.pl"
BLUEWIN = "bluewin.ch"
POSTEO = "posteo.de"
MAILBOX_ORG = "mailbox.org"


def _each(stem: str, endings: str) -> tuple[str, ...]:
    return tuple(f"{stem}.{ending}" for ending in endings.split())


# Every domain is written out: yahoo.co.jp is another company, and hotmail.<anything> may be anyone's.
_DOMAINS: Mapping[str, Iterable[str]] = {
    GOOGLE: ("gmail.com", "googlemail.com", "google.com"),
    YAHOO: (
        *_each("yahoo", "com at be ca ch cl cz de dk es fi fr gr hu ie in it nl no pl pt ro se"),
        *_each("yahoo.co", "id il in nz th uk za"),
        *_each("yahoo.com", "ar au br co hk mx my pe ph sg tr tw ve vn"),
        *("ymail.com", "rocketmail.com", "myyahoo.com", "aol.com", "aim.com", "verizon.net"),
        *_each("aol", "de fr it co.uk"),
    ),
    MICROSOFT: (
        *_each("hotmail", "com at be ca ch cl cz de dk es fi fr gr hu it lt lv my nl no ph rs se sg sk"),
        *_each("hotmail.co", "id il in jp kr nz th uk za"),
        *_each("hotmail.com", "ar au br hk tr tw vn"),
        *_each("live", "com at be ca cl cn de dk fi fr hk ie in it jp nl no ru se"),
        *_each("live", "co.kr co.uk co.za com.ar com.au com.mx com.my com.ph com.pt com.sg"),
        *_each("outlook", "com at be cl cz de dk es fr hu ie in it jp kr lv my ph pt sa sg sk"),
        *_each("outlook", "co.id co.il co.nz co.th com.ar com.au com.br com.gr com.tr com.vn"),
        *("msn.com", "passport.com", "windowslive.com"),
    ),
    APPLE: ("icloud.com", "me.com", "mac.com"),
    GMX: _each("gmx", "net at ch co.uk com de es eu fr info it org us"),
    WEB_DE: ("web.de",),
    COMCAST: ("comcast.net", "xfinity.com"),
    T_ONLINE: ("t-online.de", "magenta.de"),
    FREENET: ("freenet.de",),
    PROTON: ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    FASTMAIL: ("fastmail.com", "fastmail.fm", "messagingengine.com"),
    ZOHO: ("zoho.com", "zohomail.com", "zoho.eu", "zohomail.eu"),
    YANDEX: (*_each("yandex", "by com com.tr kz net ru uz"), "ya.ru"),
    MAIL_RU: ("mail.ru", "bk.ru", "inbox.ru", "internet.ru", "list.ru"),
    TENCENT: ("qq.com", "foxmail.com"),
    NETEASE: ("163.com", "126.com", "yeah.net"),
    NAVER: ("naver.com",),
    ORANGE: ("orange.fr", "wanadoo.fr"),
    FREE: ("free.fr",),
    LA_POSTE: ("laposte.net",),
    LIBERO: ("libero.it", "virgilio.it", "iol.it", "inwind.it", "blu.it", "giallo.it"),
    SEZNAM: ("seznam.cz", "email.cz", "post.cz", "spoluzaci.cz"),
    WP: ("wp.pl", "o2.pl"),
    BLUEWIN: ("bluewin.ch",),
    POSTEO: ("posteo.de", "posteo.net"),
    MAILBOX_ORG: ("mailbox.org",),
}

KNOWN_DOMAINS: Mapping[str, str] = MappingProxyType(
    {domain: site for site, domains in _DOMAINS.items() for domain in domains}
)
"""Consumer domain (A-labels, lower case) -> site."""

# Suffixes of MX hosts that are not the site's own name; the name itself is a suffix too.
_FURTHER_SUFFIXES: Mapping[str, str] = {
    "googlemail.com": GOOGLE,
    "mx.microsoft": MICROSOFT_BUSINESS,
    "gmx.com": GMX,
    "protonmail.com": PROTON,
    "zoho.eu": ZOHO,
    "yandex.ru": YANDEX,
    "yandex.com": YANDEX,
    "mxmail.netease.com": NETEASE,
}

KNOWN_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {**{site: site for site in (*_DOMAINS, MICROSOFT_BUSINESS)}, **_FURTHER_SUFFIXES}
)
"""Suffix of an MX host's name -> site."""

TLS_SITES = frozenset(
    {
        *(GOOGLE, YAHOO, MICROSOFT, MICROSOFT_BUSINESS, APPLE, GMX, WEB_DE, COMCAST, T_ONLINE, FREENET),
        *(PROTON, FASTMAIL, ZOHO, YANDEX, MAIL_RU, SEZNAM, POSTEO, MAILBOX_ORG, BLUEWIN),
    }
)
"""Sites known to offer STARTTLS: one that suddenly does not is under attack, so mail for it waits."""

# Without a public suffix list: below a country, these second labels belong to everybody.
_SHARED_SECOND_LABELS = frozenset(
    {
        "ac",
        "co",
        "com",
        "edu",
        "go",
        "gob",
        "gouv",
        "gov",
        "ltd",
        "mil",
        "ne",
        "net",
        "nom",
        "or",
        "org",
        "sch",
    }
)


def site_of_domain(domain: str) -> str | None:
    """The known site a recipient's domain is served by (any case, no final dot needed); None if unknown."""
    return KNOWN_DOMAINS.get(domain.lower().rstrip("."))


def site_of_host(host: str) -> str | None:
    """The known site an MX host belongs to, by the longest suffix of its name; None if unknown."""
    labels = host.lower().rstrip(".").split(".")
    for start in range(len(labels) - 1):
        site = KNOWN_SUFFIXES.get(".".join(labels[start:]))
        if site is not None:
            return site
    return None


def site_of_hosts(hosts: Iterable[str]) -> str:
    """The site behind MX hosts, best first: a known one, or the best host's organisational suffix.

    Never call it with no host. The suffix is a name to group connections by in memory; no lane
    that is stored or shown is named after it.
    """
    names = list(hosts)
    return site_of_host(names[0]) or organisational_suffix(names[0])


def organisational_suffix(host: str) -> str:
    """The part of a name that one organisation holds: two labels, or three below co.uk, com.br and so on.

    A guess that is only ever used for grouping: a wrong one makes two groups, or one too many.
    """
    labels = host.lower().rstrip(".").split(".")
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED_SECOND_LABELS
    return ".".join(labels[-3 if below_country else -2 :])


def offers_tls(site: str) -> bool:
    """Whether STARTTLS is required because the site, or the consumer domain, is known to offer it."""
    return site in TLS_SITES or KNOWN_DOMAINS.get(site, "") in TLS_SITES

"""Sample subscribers for the demo, the tests and the drills: invented people at reserved domains.

The same call gives the same octets, on every machine. Names are in their own scripts, addresses are
as awkward as valid ones get, and the bad rows are what lists from the world really hold. No mail to
any of them can leave a machine by accident: nobody can own these domains (RFC 2606).
"""

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import count as counting

from mailer.addresses import normalise_address
from mailer.ingest.table import write_table

HEADER = ("email", "name", "language", "topics", "zone")

# Given and family names, each with how it is written in an address.
_NAMES: tuple[tuple[str, str, str], ...] = (
    (
        "en",
        "Grace:grace Daniel:daniel Ruth:ruth Samuel:samuel Esther:esther Liam:liam Hannah:hannah "
        "Noah:noah Siobhán:siobhan Kwame:kwame Anne-Marie:anne-marie Theodore:theodore",
        "O'Neill:o'neill Whitfield:whitfield Okafor:okafor Harper:harper Smith-Jones:smith-jones "
        "Adeyemi:adeyemi D'Arcy:d'arcy Ashworth:ashworth McAllister:mcallister Lindqvist:lindqvist "
        "Mensah:mensah Brooks:brooks",
    ),
    (
        "es",
        "Lucía:lucia José:jose María-José:maria-jose Íñigo:inigo Ximena:ximena Andrés:andres "
        "Belén:belen Raúl:raul Pilar:pilar Joaquín:joaquin Inés:ines Tomás:tomas",
        "Muñoz:munoz Ibáñez:ibanez Quispe:quispe Peña:pena Gutiérrez:gutierrez Güell:guell "
        "Ordóñez:ordonez Mamani:mamani Álvarez:alvarez Núñez:nunez Zamora:zamora "
        "Echeverría:echeverria",
    ),
    (
        "fr",
        "Zoé:zoe François:francois Élodie:elodie Jean-Baptiste:jean-baptiste Maëlle:maelle Loïc:loic "
        "Aïssatou:aissatou Benoît:benoit Noëlle:noelle Étienne:etienne Clémence:clemence Gaël:gael",
        "L'Hôpital:l'hopital Lefèvre:lefevre Diallo:diallo D'Aubigné:d'aubigne Bélanger:belanger "
        "Garçon:garcon Ndiaye:ndiaye Lemaître:lemaitre Çelik:celik Saint-Exil:saint-exil "
        "Müller:muller Traoré:traore",
    ),
    (
        "ar",
        "ليلى:layla يوسف:yusuf مريم:maryam خالد:khalid نور:nour سامي:sami هدى:huda عمر:omar "
        "رانيا:rania طارق:tariq سلمى:salma زياد:ziad",
        "الخطيب:alkhatib حدّاد:haddad منصور:mansour الزهراوي:alzahrawi نجّار:najjar عبدالله:abdallah "
        "شاهين:shahin القاسم:alqasim بركات:barakat درويش:darwish صبّاغ:sabbagh حمدان:hamdan",
    ),
    (
        "hy",
        "Անահիտ:anahit Արամ:aram Նարե:nare Տիգրան:tigran Շուշան:shushan Գևորգ:gevorg Լուսինե:lusine "
        "Հայկ:hayk Մարիամ:mariam Վահան:vahan Արփինե:arpine Սուրեն:suren",
        "Պետրոսյան:petrosyan Հակոբյան:hakobyan Տեր-Պողոսյան:ter-poghosyan Սարգսյան:sargsyan "
        "Մելիքյան:melikyan Գրիգորյան:grigoryan Ավետիսյան:avetisyan Խաչատրյան:khachatryan "
        "Դանիելյան:danielyan Մանուկյան:manukyan Օհանյան:ohanyan Բաղդասարյան:baghdasaryan",
    ),
    (
        "uk",
        "Оксана:oksana Тарас:taras Соломія:solomiia Богдан:bohdan Мар'яна:mar'yana Юрій:yurii "
        "Ганна:hanna Остап:ostap Леся:lesia Андрій:andrii Зоряна:zoriana Єгор:yehor",
        "Шевчук:shevchuk Лук'яненко:luk'yanenko Коваленко:kovalenko Нечуй-Вітер:nechui-viter "
        "Гончар:honchar Їжакевич:yizhakevych Мельник:melnyk Ґалаґан:galagan Бондаренко:bondarenko "
        "Савчук:savchuk Щербак:shcherbak Дем'янюк:dem'yaniuk",
    ),
    (
        "fa",
        "زهرا:zahra علی\u200cرضا:alireza مینا:mina کاوه:kaveh پریسا:parisa آرش:arash شیرین:shirin "
        "بهروز:behrouz نرگس:narges سیاوش:siavash گلنار:golnar فرهاد:farhad",
        "رضایی:rezaei احمدی:ahmadi کریمی\u200cنژاد:kariminejad موسوی:mousavi صادقی:sadeghi پورمند:pourmand "
        "یزدانی:yazdani فروغی:foroughi شیرازی:shirazi نیک\u200cفر:nikfar بهرامی:bahrami گلستانی:golestani",
    ),
    (
        "zh",
        "伟:wei 芳:fang 秀英:xiuying 敏:min 静怡:jingyi 磊:lei "
        "雨桐:yutong 建国:jianguo 思远:siyuan 梓涵:zihan "
        "晓明:xiaoming 丽华:lihua",
        "王:wang 李:li 欧阳:ouyang 张:zhang 陈:chen 司马:sima 林:lin 黄:huang 吴:wu 诸葛:zhuge 周:zhou 徐:xu",
    ),
)
_DOMAINS = (
    "example.org",
    "example.net",
    "post.test",
    "example.com",
    "bücher.example",
    "mail.example",
    "عربي.example",
    "lists.example.org",
    "հայ.example",
    "Example.ORG",
    "пошта.example",
    "sub-domain.a-long-way-down.from-the.root.test",
    "例え.example",
)
_TOPICS = ("statements",) * 6 + ("statements|symposia",) * 3 + ("symposia",)
_ZONES = (
    "",
    "America/New_York",
    "Asia/Yerevan",
    "Europe/Kyiv",
    "Africa/Kigali",
    "Asia/Tehran",
    "",
    "Europe/Paris",
    "Asia/Shanghai",
    "America/Argentina/Buenos_Aires",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Pacific/Auckland",
    "",
    "Pacific/Honolulu",
    "Europe/London",
    "Asia/Beirut",
    "America/St_Johns",
    "Australia/Adelaide",
    "Pacific/Kiritimati",
    "America/Mexico_City",
    "UTC",
)
_WISHES = ("{0}|ru|en", "{0}|en", "{0}; pt-BR; de")

# Local parts as seldom as they are valid: g and f are the names in Latin letters, n and m as written.
_LOCAL_PARTS: tuple[Callable[[str, str, str, str], str], ...] = (
    lambda g, f, n, m: f"{g}.{f}+alerts",
    lambda g, f, n, m: f"{n}.{m}",
    lambda g, f, n, m: f'"{g} {f}"',
    lambda g, f, n, m: f"{g}.{f}.".ljust(64, "x"),
    lambda g, f, n, m: f"{g.title()}.{f.title()}",
    lambda g, f, n, m: f'"{g}..{f}"',
    lambda g, f, n, m: f"{g[0]}.o'{f}",
    lambda g, f, n, m: m,
    lambda g, f, n, m: f"+{g}_{f}",
    lambda g, f, n, m: f'"{g}@home, \\"{f}\\""',
    lambda g, f, n, m: f"!#$%&*/=?^`{{|}}~{g}-{f}",
    lambda g, f, n, m: f"{g}2.{f}--",
)
_WHOLE_NAMES: tuple[Callable[[str, str], str], ...] = (
    lambda n, m: "",
    lambda n, m: f"{m}, {n}",
    lambda n, m: n,
    lambda n, m: f'{n} "{n[:2]}" {m}',
    lambda n, m: f"{n} " + " ".join([m] * (100 // (len(m) + 1))),
    lambda n, m: f"-{n} & {m}; <{m[0]}.>",
    lambda n, m: f"{n} ((first_name)) {m}",
)


def sample_people(count: int = 1000, bad: int = 30) -> bytes:
    """Return CSV with exactly `count` rows that can be mailed and `bad` rows, spread, that cannot.

    The good rows are the same for every `bad`, and those of a smaller count begin those of a larger.
    """
    good = list(_good_rows(count))
    rejects = [_bad_row(number, good[0] if good else _row("anna@nowhere", "")) for number in range(bad)]
    rows: list[Sequence[str]] = []
    for place, row in enumerate(good):
        rows.append(row)
        rows += rejects[place * bad // count : (place + 1) * bad // count]
    if not good:
        rows += rejects
    stream = io.BytesIO()
    write_table(stream, HEADER, rows)
    return stream.getvalue()


def _good_rows(count: int) -> Iterator[Sequence[str]]:
    people = [(language, _pairs(given), _pairs(family)) for language, given, family in _NAMES]
    taken: set[str] = set()
    for number in range(count):
        turn, which = divmod(number, len(people))
        language, given, family = people[which]
        native, latin = given[turn % len(given)]
        family_native, family_latin = family[(turn + turn // len(given)) % len(family)]
        address = _address(number, (latin, family_latin, native, family_native), taken)
        wishes = _WISHES[turn % len(_WISHES)].format(language) if number % 11 == 5 else language
        yield (
            address,
            _name(number, language, native, family_native),
            wishes,
            _TOPICS[(number + turn) % len(_TOPICS)],
            _ZONES[(number * 5 + turn) % len(_ZONES)],
        )


def _pairs(names: str) -> Sequence[tuple[str, str]]:
    return [(native, latin) for native, _, latin in (name.partition(":") for name in names.split(" "))]


def _address(number: int, names: tuple[str, str, str, str], taken: set[str]) -> str:
    given, family, native, family_native = names
    domain = _DOMAINS[number % len(_DOMAINS)]
    awkward = _LOCAL_PARTS[number // 5 % len(_LOCAL_PARTS)] if number % 5 == 3 else None
    for again in counting(1):
        # People who share a name have numbers, as they do in the world.
        more = str(again) if again > 1 else ""
        if awkward is None:
            local = f"{given}.{family}{more}"
        else:
            local = awkward(given + more, family, _bare(native) + more, _bare(family_native) + more)
        address = f"{local}@{domain}"
        if (form := normalise_address(address)) not in taken:
            break
    taken.add(form)
    return address


def _bare(name: str) -> str:
    """A name as it may stand before an @-sign: joiners are invisible there and refused."""
    return name.replace("\u200c", "")


def _name(number: int, language: str, given: str, family: str) -> str:
    if number % 9 == 4:
        return _WHOLE_NAMES[number // 9 % len(_WHOLE_NAMES)](given, family)
    return f"{family}{given}" if language == "zh" else f"{given} {family}"


def _row(
    email: str, name: str, language: str = "en", topics: str = "statements", zone: str = ""
) -> Sequence[str]:
    return (email, name, language, topics, zone)


def _bad_row(number: int, known: Sequence[str]) -> Sequence[str]:
    """A row with one fault. `known` is a good row of the file, for those that come twice."""
    email = f"to.be.mended{number}@example.org"
    local, _, domain = known[0].rpartition("@")
    rows: tuple[Sequence[str], ...] = (
        _row(f"grace.{number}.example.org", "Grace Okafor"),
        _row(f"daniel harper{number}@example.org", "Daniel Harper"),
        _row(f"ruth..brooks{number}@example.net", "Ruth Brooks"),
        _row(email, "Արամ Մելիքյան", "hy", zone="Asia/Yerewan"),
        _row(email, "Léa Çelik", "fr", topics="statments"),
        _row(email, "Оксана Гончар", "ukrainian"),
        _row(known[0], "Once More"),
        _row(f"{local.upper()}@{domain.upper()}.", "Once More, Louder"),
        _row(email, "Samuel\nAdeyemi"),
        _row("s" * 65 + "@example.org", "Sixty-Five Letters"),
        _row("", "ليلى منصور", "ar"),
        (email, "Too", "Few"),
        (email, "Whitfield", " Esther", "en", "statements", "Europe/London"),
        _row(f"noah{number}@", "Noah Ashworth"),
        _row(f"@{number}.example.org", "Nobody"),
        _row(f"pilar{number}@localhost", "Pilar Zamora", "es"),
        _row(f"Hannah Brooks <hannah{number}@example.org>", "Hannah Brooks"),
        _row(f"liam.{number}.@example.com", "Liam Mensah"),
        _row(f"a{number}@example.org, b{number}@example.org", "Two Friends"),
        _row(f"min{number}＠example.org", "李敏", "zh"),
        _row(email, "theodore" * 30),
        _row(f"kaveh{number}@-example.org", "کاوه احمدی", "fa"),
        _row(f"zoe{number}@" + "x" * 64 + ".example", "Zoé Traoré", "fr"),
        _row(f"lei\x07{number}@example.org", "张磊", "zh"),
        _row(f"mar\u00edn{number}@[192.0.2.7]", "Inés Marín", "es"),
    )
    return rows[number % len(rows)]

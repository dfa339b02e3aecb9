"""What the HTML of a mail may hold, and where a slot may stand in it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.mail_html import check_html
from mailer.messages.refusal import FormError
from mailer.messages.slots import text_slot, url_slot

NAME, LINK = text_slot("first_name"), url_slot("unsubscribe_url")


def document(body: str = "", head: str = "") -> str:
    return (
        '<!doctype html><html lang="en" dir="ltr" xmlns:v="urn:schemas-microsoft-com:vml">'
        f'<head><meta charset="utf-8"><title>A statement</title>{head}</head>'
        f'<body>{body}<table><tr><td id="footer">Rights Office</td></tr></table></body></html>'
    )


@pytest.mark.parametrize(
    "body",
    [
        f"<p>Dear {NAME}{NAME},</p>",
        f"<a href=\"{LINK}\">leave</a> <a href='{LINK}'>leave</a> <a href={LINK}>leave</a>",
        f"<bdi>{LINK}</bdi>",
        f'<a href="https://example.org/?a=1&amp;b=2" class="x" target="_blank">{NAME}</a>',
        '<a href="mailto:office@example.org">write</a><a href="http://127.0.0.1:8025/x">demo</a>',
        '<td width="100%" bgcolor="#fff" style="color:#000;mso-line-height-rule:exactly">x</td>',
        '<!--[if mso]><table width="600"><tr><td><![endif]-->x<!--[if mso]></td></tr></table><![endif]-->',
        "<!--[if !mso]><!--><p>x</p><!--<![endif]-->",
        "1 &lt; 2 &gt; 0 &amp;&nbsp;&#847;&zwnj;",
        "<br/><hr /><P CLASS=big>x</P>",
    ],
)
def test_what_a_mail_needs_passes(body: str) -> None:
    check_html(document(body))


@pytest.mark.parametrize(
    "head",
    [
        "<style>@media (max-width:600px){.x{color:red}}</style>",
        '<meta name="viewport" content="width=600"><meta http-equiv="Content-Type" content="text/html">',
        "<!--[if mso]><noscript><xml><o:OfficeDocumentSettings><o:PixelsPerInch>96</o:PixelsPerInch>"
        "</o:OfficeDocumentSettings></xml></noscript><style>td{font-family:Arial}</style><![endif]-->",
    ],
)
def test_what_a_head_needs_passes(head: str) -> None:
    check_html(document(head=head))


@pytest.mark.parametrize(
    "body",
    [
        "<script>x</script>",
        "<SCRIPT SRC='https://example.org/x.js'></SCRIPT>",
        "<form action='https://example.org'></form>",
        "<input>",
        "<button>x</button>",
        "<iframe></iframe>",
        "<object></object>",
        "<embed>",
        "<video></video>",
        "<svg><a/></svg>",
        "<img src='https://example.org/pixel.gif'>",
        "<img src='cid:logo'>",
        "<img src='data:image/png;base64,x'>",
        "<link rel='stylesheet' href='https://example.org/x.css'>",
        "<base href='https://example.org'>",
        "<custom-tag>x</custom-tag>",
        "<template>x</template>",
        "<p onclick='x()'>x</p>",
        "<p ONMOUSEOVER=x>x</p>",
        "<td background='https://example.org/x.png'>x</td>",
        "<a ping='https://example.org' href='https://example.org'>x</a>",
        "<p src='x'>x</p>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='java&#115;cript:alert(1)'>x</a>",
        "<a href=' https://example.org'>x</a>",
        "<a href='data:text/html,x'>x</a>",
        "<a href='/relative'>x</a>",
        "<a href='#top'>x</a>",
        "<a href=''>x</a>",
        "<a href>x</a>",
        "<p href='https://example.org'>x</p>",
        "<a href='https://example.org' href='javascript:x'>x</a>",
        "<p style='background:url(https://example.org/x.png)'>x</p>",
        "<p style='background:u\\72l(https://example.org/x.png)'>x</p>",
        "<p style='background:ur/**/l(https://example.org/x.png)'>x</p>",
        "<p style='background:URL(data:x)'>x</p>",
        "<p style='width:expression(alert(1))'>x</p>",
        "<p style='background:image-set(&quot;x&quot; 1x)'>x</p>",
        "<!--[if mso]><img src='https://example.org/x.png'><![endif]-->",
        "<!--[if mso]><v:rect fill='x'></v:rect><![endif]-->",
        "<!--[if mso]><td style='background:url(x)'><![endif]-->",
        "<!--[if mso]><p onclick='x'><![endif]-->",
        "<!--> <script>x</script> -->",
        "<!---> x -->",
        "<!-- x --!> <p> -->",
        "<!-- open",
        "<p",
        "<p class='x>x</p>",
        "1 < 2",
        "<?php x ?>",
        "<![CDATA[x]]>",
        "</script>",
    ],
)
def test_what_a_mail_may_not_hold_is_refused(body: str) -> None:
    with pytest.raises(FormError):
        check_html(document(body))


@pytest.mark.parametrize(
    "head",
    [
        "<style>@import 'https://example.org/x.css';</style>",
        "<style>@font-face{font-family:x;src:local(x)}</style>",
        "<style>p{background:url(x)}</style>",
        "<style>p{}<!-- </style> --></style>",
        "<style>p{}",
        "<meta http-equiv='refresh' content='0;url=https://example.org'>",
    ],
)
def test_a_head_that_loads_or_acts_is_refused(head: str) -> None:
    with pytest.raises(FormError):
        check_html(document(head=head))


@pytest.mark.parametrize("slot", [NAME, LINK, "\ue000", "\ue001", "slot.invalid", "%EE%80%80x%EE%80%81"])
@pytest.mark.parametrize(
    "template",
    [
        "<{}>x</p>",
        "<p{}>x</p>",
        "<p {}>x</p>",
        "<p {}='x'>x</p>",
        "<p class='{}'>x</p>",
        "<p class={}>x</p>",
        "<p title='{}'>x</p>",
        "<p style='color:{}'>x</p>",
        "<a href='{}/more'>x</a>",
        "<a href='https://example.org/{}'>x</a>",
        "<a href='mailto:x@example.org?subject={}'>x</a>",
        "<!-- {} -->",
        "<!--[if mso]>{}<![endif]-->",
        "</p {}>",
        "<script>{}</script>",
        "<style>{}</style>",
        "<title>{}</title>",
        "<textarea>{}</textarea>",
    ],
)
def test_a_slot_stands_in_text_or_is_a_whole_link_and_nowhere_else(template: str, slot: str) -> None:
    with pytest.raises(FormError):
        check_html(document(template.format(slot)))


@pytest.mark.parametrize("slot", [NAME, "\ue000", "https://slot.invalid/x", "https://slot.invalid/~x~~y~"])
def test_a_link_takes_only_a_whole_url_slot(slot: str) -> None:
    with pytest.raises(FormError):
        check_html(document(f'<a href="{slot}">x</a>'))


@pytest.mark.parametrize(
    "footer", ["", '<p class="footer">x</p>', '<!-- <p id="footer"> -->', "id=&quot;footer"]
)
def test_a_mail_without_a_footer_is_refused(footer: str) -> None:
    with pytest.raises(FormError, match="footer"):
        check_html(f"<!doctype html><html><body><p>x</p>{footer}</body></html>")


def test_a_stray_bracket_is_told_by_its_line() -> None:
    with pytest.raises(FormError, match="line 3"):
        check_html("<p>\nx\n a < b</p>")


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(["<p>{}</p>", "<a href={}>x</a>", "<!--{}-->", "<p {}>", "{}"]))
def test_any_text_is_checked_or_refused_and_nothing_else(text: str, template: str) -> None:
    try:
        check_html(document(template.format(text)))
    except (FormError, UnicodeEncodeError):
        return
    assert "<script" not in text.lower()

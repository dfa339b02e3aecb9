"""One example for every GET route of the app. A route without one fails the tests."""

from mailer.web.assets import Assets
from tests.web.scene import Scene

EXAMPLES: dict[str, str] = {
    "/": "/",
    "/calendars/languages/{spoken}.ics": "/calendars/languages/en.ics",
    "/calendars/series/{key}.ics": "/calendars/series/prevention.ics",
    "/attend/{token}": "/attend/{attend}",
    "/c/{token}": "/c/{confirm}",
    "/erased": "/erased",
    "/healthz": "/healthz",
    "/help": "/help",
    "/inbox": "/inbox",
    "/inbox/{number}": "/inbox/1",
    "/inbox/{number}/attachments": "/inbox/12/attachments",
    "/inbox/{number}/attachments/{part}": "/inbox/12/attachments/4",
    "/inbox/{number}/frame": "/inbox/1/frame",
    "/inbox/{number}/headers": "/inbox/1/headers",
    "/inbox/{number}/mail.eml": "/inbox/1/mail.eml",
    "/inbox/{number}/source": "/inbox/1/source",
    "/inbox/{number}/text": "/inbox/1/text",
    "/j/{token}": "/j/{join}",
    "/p/{token}": "/p/{preferences}",
    "/p/{token}/erase": "/p/{preferences}/erase",
    "/r/{token}": "/r/{own}",
    "/register/sent": "/register/sent",
    "/robots.txt": "/robots.txt",
    "/series/{key}": "/series/prevention",
    "/statements": "/statements",
    "/statements.atom": "/statements.atom",
    "/statements/{slug}": "/statements/prisoners-of-war",
    "/static/{name}": "/static/{style}",
    "/subscribe": "/subscribe",
    "/subscribe/sent": "/subscribe/sent",
    "/symposia": "/symposia",
    "/symposia.ics": "/symposia.ics",
    "/symposia/{slug}": "/symposia/ukraine",
    "/symposia/{slug}/register": "/symposia/restorative/register",
    "/symposia/{slug}.ics": "/symposia/ukraine.ics",
    "/time/{slug}": "/time/ukraine",
    "/u/{token}": "/u/{leave}",
}

NO_PAGES = frozenset(
    {
        "/calendars/languages/{spoken}.ics",
        "/calendars/series/{key}.ics",
        "/healthz",
        "/inbox/{number}/attachments/{part}",
        "/inbox/{number}/frame",
        "/inbox/{number}/mail.eml",
        "/robots.txt",
        "/statements.atom",
        "/static/{name}",
        "/symposia.ics",
        "/symposia/{slug}.ics",
    }
)


def example(route: str, scene: Scene) -> str:
    """The example's address, with the tokens of the furnished house."""
    style = Assets().url("app.css").removeprefix("/static/")
    return EXAMPLES[route].format(style=style, **vars(scene))

"""A visitor of the pages: asks the app over ASGI and reads the answer as a tree."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI
from selectolax.lexbor import LexborHTMLParser

HOST = "https://mailer.example.org"


class Visitor:
    """Sends requests to an app without a network; every request is a fresh one, without cookies."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
                return await client.request(method, path, **more)

        return asyncio.run(send())

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.ask("POST", path, **more)

    def see(self, path: str, **more: Any) -> LexborHTMLParser:
        """The page at a path, which must be there."""
        answer = self.get(path, **more)
        assert answer.status_code == 200, (path, answer.status_code)
        return LexborHTMLParser(answer.text)

    def press(self, path: str, action: str, **typed: Any) -> httpx.Response:
        """Open a page and send the form that leads to `action` with its hidden and ticked fields."""
        page = LexborHTMLParser(self.get(path).text)
        forms = {str(form.attributes.get("action")).split("?")[0]: form for form in page.css("form")}
        assert action in forms
        fields: dict[str, Any] = {}
        for field in forms[action].css("input[type=hidden], input[type=checkbox][checked]"):
            fields.setdefault(str(field.attributes["name"]), []).append(field.attributes.get("value") or "")
        return self.post(str(forms[action].attributes["action"]), data={**fields, **typed})


def words(answer: httpx.Response) -> str:
    """What a page's main part says, on one line."""
    main = LexborHTMLParser(answer.text).css_first("main")
    return " ".join(main.text().split()) if main is not None else ""


def heading(answer: httpx.Response) -> str:
    found = LexborHTMLParser(answer.text).css("h1")
    assert len(found) == 1
    return " ".join(found[0].text().split())

"""What the tests that only look are given."""

from dataclasses import dataclass

from fastapi import FastAPI

from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from tests.web.scene import Scene


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    house: House
    scene: Scene
    inbox: Inbox
    app: FastAPI

"""With a DKIM key every mail of the corridor is signed, its unsubscribe headers included."""

from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailer import settings
from mailer.db.programme import Statement
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.settings import SettingsError
from tests.services.conftest import Hands
from tests.smtp_server import MailServer


@pytest.fixture
def signing_house(house: House, tmp_path: Path) -> House:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "dkim.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    changes = {"dkim_selector": "m2026a", "dkim_key_file": file}
    return House(house.settings.model_copy(update=changes), house.database, house.ring)


def test_what_leaves_is_signed_and_verified_by_another_implementation(
    signing_house: House, server: MailServer, hands: Hands, subscribe: Callable[..., int], statement: int
) -> None:
    subscribe("reader@example.org", languages=("ar",))
    with signing_house.database.write() as session:
        found = session.get_one(Statement, statement)
        statements.publish(session, signing_house, found, actor="test", now=hands.now)
    hands.dispatcher.composer.house = signing_house
    assert hands.work() == 1
    data = server.mails[0].data
    signer = signing_house.signer
    assert signer is not None
    asked: list[bytes] = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return signer.dns_record.encode()

    assert dkim.verify(data, dnsfunc=dns)
    assert asked == [b"m2026a._domainkey.example.org."]
    signed = server.mails[0].message["DKIM-Signature"].lower().replace(" ", "")
    assert "list-unsubscribe:" in signed
    assert "list-unsubscribe-post" in signed


def test_a_key_that_cannot_sign_is_said(house: House, tmp_path: Path) -> None:
    file = tmp_path / "dkim.pem"
    file.write_text("no key")
    chosen = house.settings.model_copy(update={"dkim_selector": "m1", "dkim_key_file": file})
    with pytest.raises(SettingsError, match="MAILER_DKIM_KEY_FILE"):
        _ = House(chosen, house.database, house.ring).signer
    with pytest.raises(SettingsError, match="or neither"):
        settings.load(dkim_selector="m1")

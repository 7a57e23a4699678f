"""No part of a password is shown, wherever an unescaped character in it makes libpq cut the address."""

import pytest

from warehouse.redaction import redact


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://bob:S3cr@et@127.0.0.1:1/w", "failed to resolve host 'et@127.0.0.1'"),
        ("postgresql://bob:S3cr@e@t@127.0.0.1:1/w", "failed to resolve host 'e@t@127.0.0.1'"),
        ("postgresql://bob:S3cr/et@127.0.0.1:1/w", "failed to resolve host 'S3cr'"),
    ],
)
def test_the_end_of_a_password_is_not_shown_as_a_host(address, message):
    shown = redact(message, address)
    assert "et@" not in shown and "t@" not in shown and "S3cr" not in shown

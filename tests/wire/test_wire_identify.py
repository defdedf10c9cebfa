"""The body of IDENTIFY, its limits, and the answer."""

from __future__ import annotations

import pytest

from nsqtx.wire.errors import ProtocolError
from nsqtx.wire.identify import (
    Identify,
    Negotiated,
    Settings,
    check,
    deflate_level,
    negotiation_response,
    parse_identify,
)
from nsqtx.wire.limits import Limits

ACCEPTED = [
    (b"null", Identify()),
    (b"{}", Identify()),
    (b" \t\r\n{} \n", Identify()),
    (b'{"unknown":{"a":[1,2.5e3,null]},"short_id":"a","long_id":"b"}', Identify()),
    (b'{"client_id":null,"heartbeat_interval":null}', Identify()),
    (
        b'{"CLIENT_ID":"x","Feature_Negotiation":true}',
        Identify(client_id="x", feature_negotiation=True),
    ),
    (
        b'{"client_id":"a","client_id":"b","feature_negotiation":true}',
        Identify(client_id="b", feature_negotiation=True),
    ),
    (b'{"client_id":"\xff\xfe"}', Identify(client_id="\ufffd\ufffd")),
    (b'{"client_id":"\\ud800"}', Identify(client_id="\ufffd")),
    (b'{"client_id":"\\u00e9\\n"}', Identify(client_id="é\n")),
    (
        b'{"client_id":"c","hostname":"h","user_agent":"ua/1","feature_negotiation":true,'
        b'"heartbeat_interval":1000,"output_buffer_size":64,"output_buffer_timeout":25,'
        b'"sample_rate":3,"msg_timeout":1001,"tls_v1":true,"deflate":true,"deflate_level":9,'
        b'"snappy":true,"topology_region":"r","topology_zone":"z"}',
        Identify(
            client_id="c",
            hostname="h",
            user_agent="ua/1",
            feature_negotiation=True,
            heartbeat_interval=1000,
            output_buffer_size=64,
            output_buffer_timeout=25,
            sample_rate=3,
            msg_timeout=1001,
            tls_v1=True,
            deflate=True,
            deflate_level=9,
            snappy=True,
            topology_region="r",
            topology_zone="z",
        ),
    ),
]

REJECTED = [
    b'{"heartbeat_interval":"1000"}',
    b'{"heartbeat_interval":1000.0}',
    b'{"heartbeat_interval":1e3}',
    b'{"heartbeat_interval":true}',
    b'{"client_id":5}',
    b'{"feature_negotiation":"true"}',
    b'{"feature_negotiation":1}',
    b'{"tls_v1":"no"}',
    b'{"sample_rate":2147483648}',
    b'{"msg_timeout":9223372036854775808}',
    b'{"user_agent":["x"]}',
    b"[]",
    b'"x"',
    b"1",
    b"true",
    b" ",
    b"{",
    b"{}x",
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a":NaN}',
    b"\xef\xbb\xbf{}",
    b'{"client_id":"a\nb"}',
    b'{"a":01}',
    b'{"a":' + b"[" * 100_000,
]


@pytest.mark.parametrize(("body", "identify"), ACCEPTED)
def test_accepted(body: bytes, identify: Identify) -> None:
    """These bodies are read, with these values."""
    assert parse_identify(body) == identify


@pytest.mark.parametrize("body", REJECTED)
def test_rejected(body: bytes) -> None:
    """These bodies are refused, and the connection closed."""
    with pytest.raises(ProtocolError) as caught:
        parse_identify(body)
    assert caught.value.data == b"E_BAD_BODY IDENTIFY failed to decode JSON body"
    assert caught.value.fatal


@pytest.mark.parametrize(
    ("field", "good", "bad", "text"),
    [
        ("heartbeat_interval", [-1, 0, 1000, 60000], [-2, 1, 999, 60001], "heartbeat interval"),
        ("output_buffer_size", [-1, 0, 64, 65536], [-2, 1, 63, 65537], "output buffer size"),
        ("output_buffer_timeout", [-1, 0, 25, 30000], [-2, 1, 24, 30001], "output buffer timeout"),
        ("sample_rate", [0, 1, 99], [-1, 100, 2**31 - 1], "sample rate"),
        ("msg_timeout", [0, 1000, 900000], [-1, 1, 999, 900001], "msg timeout"),
        ("deflate_level", [-5, 0, 100], [], ""),
    ],
)
def test_ranges(field: str, good: list[int], bad: list[int], text: str) -> None:
    """Values at the limits pass, those beyond are refused by name."""
    for value in good:
        check(Identify(**{field: value}), Limits())  # type: ignore[arg-type]
    for value in bad:
        with pytest.raises(ProtocolError) as caught:
            check(Identify(**{field: value}), Limits())  # type: ignore[arg-type]
        assert caught.value.data.decode() == f"E_BAD_BODY IDENTIFY {text} ({value}) is invalid"


def test_order() -> None:
    """The first value out of range is reported, in the order of the original."""
    identify = Identify(
        msg_timeout=1,
        sample_rate=100,
        output_buffer_size=1,
        output_buffer_timeout=1,
        heartbeat_interval=1,
    )
    reported = []
    for field in (
        "heartbeat_interval",
        "output_buffer_timeout",
        "output_buffer_size",
        "sample_rate",
        "msg_timeout",
    ):
        with pytest.raises(ProtocolError) as caught:
            check(identify, Limits())
        reported.append(caught.value.description.split(b" (")[0])
        setattr(identify, field, 0)
    check(identify, Limits())
    assert reported == [
        b"IDENTIFY heartbeat interval",
        b"IDENTIFY output buffer timeout",
        b"IDENTIFY output buffer size",
        b"IDENTIFY sample rate",
        b"IDENTIFY msg timeout",
    ]


def test_settings_are_kept() -> None:
    """What a client does not ask for stays as it is, except for the sample rate."""
    settings = Settings(sample_rate=5, msg_timeout=2000)
    settings.apply(Identify())
    assert settings == Settings(sample_rate=0, msg_timeout=2000)


def test_settings_are_set() -> None:
    """What a client asks for is set."""
    settings = Settings()
    settings.apply(
        Identify(
            heartbeat_interval=1000,
            output_buffer_size=64,
            output_buffer_timeout=25,
            sample_rate=9,
            msg_timeout=1001,
        )
    )
    assert settings == Settings(1000, 64, 25, 9, 1001)


def test_settings_are_turned_off() -> None:
    """-1 turns off; a buffer turned off takes its timeout with it."""
    settings = Settings()
    settings.apply(Identify(heartbeat_interval=-1, output_buffer_timeout=-1))
    assert settings == Settings(heartbeat_interval=0, output_buffer_timeout=0)
    settings.apply(Identify(output_buffer_size=-1, output_buffer_timeout=100))
    assert (settings.output_buffer_size, settings.output_buffer_timeout) == (1, 0)


@pytest.mark.parametrize(
    ("granted", "requested", "maximum", "level"),
    [
        (False, 9, 9, 6),
        (False, 1, 3, 3),
        (True, 9, 9, 9),
        (True, 9, 6, 6),
        (True, 1, 6, 1),
        (True, 0, 6, 6),
        (True, -5, 3, 3),
    ],
)
def test_deflate_level(granted: bool, requested: int, maximum: int, level: int) -> None:
    """A level counts if deflate is granted; the maximum always does."""
    assert deflate_level(granted, requested, maximum) == level


def test_response() -> None:
    """The answer is the specification's example, byte for byte."""
    assert negotiation_response(Negotiated(2500, "1.3.0", 900_000, 60_000)) == (
        b'{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,'
        b'"tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,'
        b'"sample_rate":0,"auth_required":false,"output_buffer_size":16384,'
        b'"output_buffer_timeout":250,"topology_region":"","topology_zone":""}'
    )


def test_response_escapes() -> None:
    """Text of the operator is escaped as Go does."""
    negotiated = Negotiated(1, "1.3.0", 1, 1, topology_region="eu&us", topology_zone="<z>")
    assert negotiation_response(negotiated).endswith(
        b'"topology_region":"eu\\u0026us","topology_zone":"\\u003cz\\u003e"}'
    )


def test_both_compressions() -> None:
    """Deflate and snappy cannot both be on."""
    with pytest.raises(ProtocolError) as caught:
        negotiation_response(Negotiated(1, "1.3.0", 1, 1, deflate=True, snappy=True))
    assert caught.value.data == (
        b"E_IDENTIFY_FAILED cannot enable both deflate and snappy compression"
    )

"""Which callbacks are answered: the official vector, and everything near it that must not pass."""

from hashlib import sha256
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.callback.tencent.signature import MAX_QUERY_BYTES, Query, Refused, check_query

APPS = frozenset({"1400000000", "1400000001"})
TOKEN, TIME = "xxxxyyyy", "1669872112"
SIGN = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"
"""The example of Tencent's page; its English edition of 2023 misprints the token."""
NOW = 1669872112.0


def signed(**changes: str) -> bytes:
    """A good query, with these parameters changed."""
    return urlencode({"SdkAppid": "1400000000", "Sign": SIGN, "RequestTime": TIME, **changes}).encode()


def without(name: str) -> bytes:
    """A good query that lacks this parameter."""
    return b"&".join(piece for piece in signed().split(b"&") if not piece.startswith(name.encode() + b"="))


def sign(time: str, token: str = TOKEN) -> str:
    """The right sign of a time."""
    return sha256((token + time).encode()).hexdigest()


def check(query: bytes, *, tokens: tuple[str, ...] = (TOKEN,), now: float = NOW) -> Query | Refused:
    """The query as one of our apps gets it."""
    return check_query(query, sdk_app_ids=APPS, tokens=tokens, now=now)


def test_the_official_vector_is_accepted() -> None:
    """We sign as Tencent does: token and time, nothing between."""
    assert check(signed()) == Query("1400000000")


def test_the_documented_query_gives_its_facts() -> None:
    """With every parameter of the reference page, and RequestId."""
    query = (
        b"SdkAppid=1400000001&CallbackCommand=C2C.CallbackBeforeSendMsg&contenttype=json&ClientIP=127.0.0.1"
        b"&OptPlatform=iOS&RequestId=7cb1&Sign=" + SIGN.encode() + b"&RequestTime=" + TIME.encode()
    )
    assert check(query) == Query("1400000001", "C2C.CallbackBeforeSendMsg")


@pytest.mark.parametrize(
    "query",
    [
        signed(Sign=SIGN.upper()),
        signed(Sign=SIGN[:32].upper() + SIGN[32:]),
        signed(contenttype="xml", ClientIP="::1%eth0", OptPlatform="Unkown", RequestId="\n\0", more="1 2&3"),
        signed(ClientIP="", OptPlatform="é漢🙂"),
        signed() + b"&flag",
        signed() + b"&flag=",
        signed() + "&raw=é".encode(),
        signed() + b"&sign=lower&SIGN=upper&requesttime=0",
        signed().replace(b"Sign=", b"S%69gn="),
        signed() + b"&" + b"x" * (MAX_QUERY_BYTES - len(signed()) - 1),
    ],
)
def test_what_decides_nothing_may_say_anything(query: bytes) -> None:
    """Tencent adds parameters and spells platforms in several ways; none of it costs a message its moderation."""
    assert isinstance(check(query), Query)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"", "foreign_app"),
        (without("SdkAppid"), "foreign_app"),
        (signed(SdkAppid=""), "foreign_app"),
        (signed(SdkAppid="1400000002"), "foreign_app"),
        (signed(SdkAppid="1400000000 "), "foreign_app"),
        (signed(SdkAppid="140000000"), "foreign_app"),
        (signed(SdkAppid="１４００００００００"), "foreign_app"),  # noqa: RUF001 # full-width digits
        (signed().replace(b"SdkAppid", b"sdkappid"), "foreign_app"),
        (without("RequestTime"), "request_time"),
        (signed(RequestTime=""), "request_time"),
        (signed(RequestTime=TIME + "\n", Sign=sign(TIME + "\n")), "request_time"),
        (signed(RequestTime=" " + TIME, Sign=sign(" " + TIME)), "request_time"),
        (signed(RequestTime="+669872112", Sign=sign("+669872112")), "request_time"),
        (signed(RequestTime="1_69872112", Sign=sign("1_69872112")), "request_time"),
        (signed(RequestTime=TIME[:9], Sign=sign(TIME[:9])), "request_time"),
        (signed(RequestTime="0" + TIME, Sign=sign("0" + TIME)), "request_time"),
        (signed(RequestTime=TIME + ".0", Sign=sign(TIME + ".0")), "request_time"),
        (signed(RequestTime="١٦٦٩٨٧٢١١٢", Sign=sign("١٦٦٩٨٧٢١١٢")), "request_time"),
        (signed(RequestTime=TIME + "\0" * 6 + "1", Sign=SIGN), "request_time"),
        (without("Sign"), "sign"),
        (signed(Sign=""), "sign"),
        (signed(Sign=SIGN[:-1]), "sign"),
        (signed(Sign=SIGN[:-1] + "0"), "sign"),
        (signed(Sign="0" + SIGN[1:]), "sign"),
        (signed(Sign=SIGN + "0"), "sign"),
        (signed(Sign=SIGN + "\n"), "sign"),
        (signed(Sign="é" * 64), "sign"),
        (signed(Sign=sign(TIME, "")), "sign"),
        (signed(Sign=sign("", TIME)), "sign"),
        (signed(RequestTime="1669872113"), "sign"),
        (signed() + b"&Sign=" + SIGN.encode(), "parameter_twice"),
        (signed() + b"&S%69gn=0", "parameter_twice"),
        (signed() + b"&SdkAppid=1400000000", "parameter_twice"),
        (signed() + b"&RequestTime=" + TIME.encode(), "parameter_twice"),
        (signed() + b"&x=1&x=1", "parameter_twice"),
        (signed() + b"&x=1&x", "parameter_twice"),
        (signed() + b"&x=%", "unreadable"),
        (signed() + b"&x=%4", "unreadable"),
        (signed() + b"&x=%4g", "unreadable"),
        (signed() + b"&%zz=1", "unreadable"),
        (signed() + b"&x=%ff", "unreadable"),
        (signed() + b"&x=\xff", "unreadable"),
        (signed() + b"&x=%ed%a0%80", "unreadable"),
        (signed() + b"&x=%c0%af", "unreadable"),
        (signed() + b"&" + b"x" * (MAX_QUERY_BYTES - len(signed())), "too_long"),
    ],
)
def test_anything_else_is_refused(query: bytes, reason: str) -> None:
    """Wrong, missing, doubled, foreign, cut, decorated: each with the word that the log will hold."""
    assert check(query) == reason


@pytest.mark.parametrize("now", [NOW, NOW - 60, NOW + 60, NOW + 59.999])
def test_a_minute_either_way_is_fresh(now: float) -> None:
    """Tencent's window, and clocks that differ."""
    assert isinstance(check(signed(), now=now), Query)


@pytest.mark.parametrize("now", [NOW - 60.001, NOW + 60.001, 0.0, NOW + 86400, NOW * 1000])
def test_older_or_earlier_is_stale(now: float) -> None:
    """A request that was seen once does not open the door for ever, not even one from the future."""
    assert check(signed(), now=now) == "stale"


def test_staleness_is_told_only_to_who_can_sign() -> None:
    """The word "stale" in a log means a clock or a replay, not a stranger's guess."""
    assert check(signed(Sign="0" * 64), now=0) == "sign"


@pytest.mark.parametrize("tokens", [(TOKEN, "new"), ("new", TOKEN), ("ü", TOKEN)])
def test_each_token_signs_while_they_rotate(tokens: tuple[str, ...]) -> None:
    """The old and the new one, in either order; and no third."""
    assert isinstance(check(signed(), tokens=tokens), Query)
    assert isinstance(check(signed(Sign=sign(TIME, tokens[0])), tokens=tokens), Query)
    assert check(signed(Sign=sign(TIME, "older")), tokens=tokens) == "sign"


def test_every_token_is_compared_whichever_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer does not tell which token is in use: no early exit, no plain comparison."""
    compared: list[bytes] = []

    def compare(mine: bytes, given: bytes) -> bool:
        compared.append(mine)
        return mine == given

    monkeypatch.setattr("pushlane.callback.tencent.signature.compare_digest", compare)
    assert isinstance(check(signed(), tokens=(TOKEN, "new", "newer")), Query)
    assert len(set(compared)) == 3


def test_an_empty_token_lets_nobody_in() -> None:
    """A setting that came out empty is not a token that everybody knows."""
    query = signed(Sign=sign(TIME, ""))
    assert check(query, tokens=("",)) == "sign"
    assert check(query, tokens=("", TOKEN)) == "sign"
    assert isinstance(check(signed(), tokens=("", TOKEN)), Query)


def test_without_tokens_only_the_sign_is_not_asked_for() -> None:
    """The app and the query's form are checked all the same."""
    assert check(b"SdkAppid=1400000000", tokens=()) == Query("1400000000")
    assert check(b"SdkAppid=14", tokens=()) == "foreign_app"
    assert check(b"SdkAppid=1400000000&SdkAppid=1400000000", tokens=()) == "parameter_twice"


@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                b"Sign=",
                b"SdkAppid=1400000000",
                b"&",
                b"%",
                b"%ff",
                b"=",
                b"RequestTime=1669872112",
                SIGN.encode(),
                b"\xff",
                b"x",
            ]
        )
    ).map(b"".join)
)
def test_no_query_raises_and_none_passes_without_the_sign(query: bytes) -> None:
    """Any bytes at all are a query's facts or a refusal; what passes holds the sign."""
    result = check(query)
    assert not isinstance(result, Query) or SIGN.encode() in query

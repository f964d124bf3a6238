"""Tokens as a random attacker makes them: texts, edits of a genuine token, and rightly signed nonsense."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hypothesis import strategies as st

from common.jwt.encoding import encode_base64url

NAMES = ("alg", "kid", "typ", "iss", "aud", "sub", "client_id", "jti", "iat", "exp", "nbf", "scope", "sid", "auth_time")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Attack(Protocol):
    """Makes a token; `is_signed` where the right key has signed it, so that it may be accepted for what it says."""

    is_signed: bool

    def token(self, mint: Any) -> str: ...


@dataclass(frozen=True)
class Text:
    text: str
    is_signed: bool = False

    def token(self, mint: Any) -> str:
        return self.text


@dataclass(frozen=True)
class Edit:
    """A genuine token with `length` characters at `position` replaced."""

    position: int
    length: int
    text: str
    is_signed: bool = False

    def token(self, mint: Any) -> str:
        genuine: str = mint.token()
        position = self.position % (len(genuine) + 1)
        edited = genuine[:position] + self.text + genuine[position + self.length :]
        return edited if edited != genuine else edited + "="


@dataclass(frozen=True)
class Shuffle:
    """Segments of tokens that are genuine each, never all of one."""

    order: tuple[tuple[int, int], ...]
    is_signed: bool = False

    def token(self, mint: Any) -> str:
        tokens = [mint.token(claims=mint.claims(jti=str(number))).split(".") for number in range(3)]
        segments = [tokens[token][segment] for token, segment in self.order]
        in_place = [segment for _, segment in self.order] == [0, 1, 2]
        is_whole = in_place and self.order[1][0] == self.order[2][0]  # the header is the same in all of them
        return ".".join(segments if not is_whole else reversed(segments))


@dataclass(frozen=True)
class Signature:
    """Genuine content under other bytes for a signature."""

    signature: bytes
    is_signed: bool = False

    def token(self, mint: Any) -> str:
        return str(mint.unsigned(signature=self.signature))


@dataclass(frozen=True)
class Members:
    """Header and claims with members changed, added, left out and written twice, signed by one of the keys."""

    header: Mapping[str, object]
    claims: Mapping[str, object]
    left_out: frozenset[str]
    twice: frozenset[str]
    indent: int | None
    key: str

    @property
    def is_signed(self) -> bool:
        return self.key == "key"

    def token(self, mint: Any) -> str:
        header, claims = (
            write(members | dict(changes), self)
            for members, changes in ((mint.header(), self.header), (mint.claims(), self.claims))
        )
        return str(mint.token(header, claims, getattr(mint, self.key)))


def write(members: dict[str, object], attack: Members) -> bytes:
    kept = {name: value for name, value in members.items() if name not in attack.left_out}
    text = json.dumps(kept, indent=attack.indent)
    for name in sorted(attack.twice & kept.keys()):
        text = f"{text.rstrip('}')}, {json.dumps(name)}: {json.dumps(kept[name])}}}"
    return text.encode()


@dataclass(frozen=True)
class Bytes:
    """Any bytes for a header or a payload, rightly signed."""

    header: bytes | None
    payload: bytes | None
    is_signed: bool = True

    def token(self, mint: Any) -> str:
        return str(mint.token(self.header, self.payload))


@dataclass(frozen=True)
class Respelling:
    """A genuine JSON text with some bytes replaced, rightly signed."""

    position: int
    length: int
    replacement: bytes
    is_signed: bool = True

    def token(self, mint: Any) -> str:
        text = json.dumps(mint.claims()).encode()
        position = self.position % (len(text) + 1)
        return str(mint.token(claims=text[:position] + self.replacement + text[position + self.length :] or b" "))


segments = st.text(ALPHABET, max_size=60) | st.binary(max_size=60).map(encode_base64url)
texts = st.text(max_size=80) | st.lists(segments, max_size=5).map(".".join)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "api", "ES256"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
times = st.integers(-4000, 4000).map(lambda offset: 1772366400 + offset)  # around the clock of the tests
members = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values | times, max_size=2)
foreign_members = st.dictionaries(st.sampled_from(["crit", "b64", "jwk", "jku", "x5c", "zip"]), values, max_size=1)
own_members = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["none", "HS256", "RS256", "ES384", "es256"]) | values,
        "kid": st.text(ALPHABET, min_size=43, max_size=43) | values,
        "typ": st.sampled_from(["JWT", "AT+JWT", "application/at+jwt", "rt+jwt"]) | values,
    },
)
header_members: st.SearchStrategy[Mapping[str, object]] = st.one_of(st.just({}), own_members, foreign_members)
names = st.frozensets(st.sampled_from(NAMES), max_size=1)
changed_members = st.builds(
    Members,
    header=header_members,
    claims=members,
    left_out=st.just(frozenset()) | names,
    twice=st.just(frozenset()) | names,
    indent=st.sampled_from([None, 0, 1]),
    key=st.sampled_from(["key", "key", "key", "foreign_key", "rsa_key"]),
)
nothing = frozenset[str]()
plain = {"left_out": st.just(nothing), "twice": st.just(nothing), "indent": st.none(), "key": st.just("key")}
plausible_headers = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["none", "HS256", "RS256", "ES384", "es256"]),
        "kid": st.text(ALPHABET, min_size=43, max_size=43),
        "typ": st.sampled_from(["JWT", "AT+JWT", "application/at+jwt", "rt+jwt"]),
    },
)
plausible_claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from(["https://auth.example", "https://auth.example/", "https://evil.example"]),
        "aud": st.sampled_from(["api", "worker", ["api"], ["api", "worker"]]),
        "iat": times,
        "exp": times,
        "nbf": times,
    },
)
pieces = st.text(ALPHABET + ".=+/ \n", max_size=8) | st.text(max_size=3) | st.just("\ud800")
attacks: st.SearchStrategy[Attack] = st.one_of(
    st.builds(Text, texts),
    st.builds(Edit, st.integers(0, 800), st.integers(0, 8), pieces),
    st.builds(Shuffle, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=5).map(tuple)),
    st.builds(Signature, st.binary(max_size=80) | st.binary(min_size=64, max_size=64)),
    changed_members,
    st.builds(Members, header=plausible_headers, claims=st.just({}), **plain),
    st.builds(Members, header=st.just({}), claims=plausible_claims, **plain),
    st.builds(Bytes, st.none() | st.binary(min_size=1, max_size=100), st.none() | st.binary(min_size=1, max_size=200)),
    st.builds(
        Respelling,
        st.integers(0, 500),
        st.integers(0, 12),
        st.binary(max_size=12) | st.text(max_size=6).map(str.encode),
    ),
)

"""A mint that signs whatever a test asks for, rightly or wrongly, and the two ways of verifying it is held against."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from common.jwt import Claims, Refusal, SigningKey, StaticKeys, TokenInvalid, TokenVerifier, verify_access_token
from common.jwt.encoding import encode_base64url
from common.testing.clock import SettableClock
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://auth.example"
AUDIENCES = frozenset({"api"})
NOW = SettableClock().now
USER_ID = UUID("019e0000-0000-7000-8000-000000000001")
SESSION_ID = UUID("019e0000-0000-7000-8000-000000000002")

Json = Mapping[str, object] | bytes


@dataclass
class Mint:
    """Builds compact tokens. A member changed to `DROP` is left out; bytes are taken as they are."""

    key: SigningKey
    foreign_key: SigningKey
    rsa_key: SigningKey
    now: int = int(NOW.timestamp())
    DROP: object = field(default_factory=object)

    def header(self, **changes: object) -> dict[str, object]:
        return self._changed({"alg": self.key.alg, "kid": self.key.kid, "typ": "at+jwt"}, changes)

    def claims(self, **changes: object) -> dict[str, object]:
        claims = {
            "iss": ISSUER,
            "aud": "api",
            "sub": str(USER_ID),
            "client_id": "redprint",
            "jti": "019e0000-0000-7000-8000-000000000003",
            "iat": self.now,
            "exp": self.now + 600,
            "scope": "contacts:read contacts:write",
            "sid": str(SESSION_ID),
            "auth_time": self.now,
        }
        return self._changed(claims, changes)

    def token(self, header: Json | None = None, claims: Json | None = None, key: SigningKey | None = None) -> str:
        """A token whose signature is right for whatever it says."""
        signing_input = self.signing_input(header, claims)
        return f"{signing_input}.{encode_base64url((key or self.key).sign(signing_input.encode()))}"

    def signing_input(self, header: Json | None = None, claims: Json | None = None) -> str:
        header = self.header() if header is None else header
        claims = self.claims() if claims is None else claims
        return f"{self.segment(header)}.{self.segment(claims)}"

    def unsigned(self, header: Json | None = None, claims: Json | None = None, signature: bytes = b"") -> str:
        return f"{self.signing_input(header, claims)}.{encode_base64url(signature)}"

    def segment(self, value: Json) -> str:
        return encode_base64url(value if isinstance(value, bytes) else json.dumps(value).encode())

    def _changed(self, members: dict[str, object], changes: dict[str, object]) -> dict[str, object]:
        return {name: value for name, value in (members | changes).items() if value is not self.DROP}


def new_ec_key() -> SigningKey:
    return SigningKey.of(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def mint() -> Mint:
    rsa_key = SigningKey.of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return Mint(key=new_ec_key(), foreign_key=new_ec_key(), rsa_key=rsa_key)


@pytest.fixture
def make_ec_key() -> Callable[[], SigningKey]:
    return new_ec_key


@pytest.fixture
def keys(mint: Mint) -> StaticKeys:
    return StaticKeys([mint.key.verifying_key, mint.rsa_key.verifying_key])


@pytest.fixture
def verifier(keys: StaticKeys, clock: SettableClock) -> TokenVerifier:
    return TokenVerifier(keys, ISSUER, AUDIENCES, clock)


@pytest.fixture
def verify(keys: StaticKeys, clock: SettableClock) -> Callable[[str], Claims]:
    """`verify_access_token` with all but the token filled in."""
    return lambda token: verify_access_token(token, keys=keys, issuer=ISSUER, audiences=AUDIENCES, now=clock())


@pytest.fixture
def accept(verify: Callable[[str], Claims], verifier: TokenVerifier) -> Callable[[str], Claims]:
    """Return the claims of a token that `verify_access_token` and a verifier, asked twice, agree about."""

    def accepted(token: str) -> Claims:
        claims = verify(token)
        assert claims == verifier.verify(token) == verifier.verify(token)
        return claims

    return accepted


@pytest.fixture
def refuse(verify: Callable[[str], Claims], verifier: TokenVerifier) -> Callable[[str], str]:
    """Assert that `verify_access_token` and a verifier refuse a text, for a reason somebody thought of; return it."""

    def refused(token: str) -> str:
        reasons = {reason_of_refusal(way, token) for way in (verify, verifier.verify)}
        assert len(reasons) == 1
        return reasons.pop()

    return refused


def reason_of_refusal(verify: Callable[[str], Claims], token: str) -> str:
    with pytest.raises(TokenInvalid) as caught:
        verify(token)
    assert caught.value.reason is not Refusal.UNEXPECTED
    return caught.value.reason

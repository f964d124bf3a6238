"""Recognises RSA moduli of the faulty generator known as ROCA (CVE-2017-15361)."""

from math import prod

_GENERATOR = 65537
# The generator made every prime as k*M + (65537**a mod M) where M is the product of at least
# the first 39 primes, so each modulus is a power of 65537 modulo each of them.
_PRIMES = (
    *(3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71),
    *(73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167),
)
PRIMORIAL = 2 * prod(_PRIMES)


def _powers_modulo(prime: int) -> frozenset[int]:
    return frozenset(pow(_GENERATOR, exponent, prime) for exponent in range(prime - 1))


_FINGERPRINT = {prime: _powers_modulo(prime) for prime in _PRIMES}


def has_roca_shape(modulus: int) -> bool:
    """Whether the modulus carries the fingerprint; a sound key does so about once in 2**27 cases."""
    return all(modulus % prime in powers for prime, powers in _FINGERPRINT.items())

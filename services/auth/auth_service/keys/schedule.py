"""Which key does what at a moment: a pure function of the plan and the clock, so that all replicas flip together."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from common.jwt import LEEWAY_SECONDS, MAX_LIFETIME_SECONDS


class State(StrEnum):
    """What becomes of a key: each is the next one's past, but for a key that is replaced before it ever signed."""

    PENDING = "pending"  # published, does not sign yet
    ACTIVE = "active"
    RETIRING = "retiring"  # published for as long as a token it signed may live
    RETIRED = "retired"  # neither published nor accepted


# The last token of a key is good until then; five minutes more for whoever asks late which keys there are.
RETIRING_PERIOD = timedelta(seconds=MAX_LIFETIME_SECONDS + LEEWAY_SECONDS, minutes=5)


class Planned(Protocol):
    """Anything with a moment from which it is used; None: a reserve."""

    @property
    def sign_from(self) -> datetime | None: ...


AnyPlanned = TypeVar("AnyPlanned", bound=Planned)


def in_order(keys: Sequence[AnyPlanned]) -> list[AnyPlanned]:
    """The keys in the order of their use, reserves last; of two with one date the one listed later follows."""
    dated = [key for key in keys if key.sign_from is not None]
    reserves = [key for key in keys if key.sign_from is None]
    return sorted(dated, key=lambda key: key.sign_from) + reserves  # type: ignore[arg-type, return-value] # all have a date


def active_at(ordered: Sequence[AnyPlanned], now: datetime) -> AnyPlanned:
    """The one in use: the last whose time has come; where none has, the earliest. `ordered` is not empty."""
    begun = [key for key in ordered if key.sign_from is not None and key.sign_from <= now]
    return begun[-1] if begun else ordered[0]


def replaced_at(ordered: Sequence[AnyPlanned], position: int) -> datetime | None:
    """When the key at a position is followed by the next; None while that is not planned."""
    following = ordered[position + 1 :]
    return following[0].sign_from if following else None


def retires_at(ordered: Sequence[AnyPlanned], position: int) -> datetime | None:
    """From when on the key at a position is neither published nor accepted; None while that is not planned."""
    replaced = replaced_at(ordered, position)
    return None if replaced is None else replaced + RETIRING_PERIOD


def state_at(ordered: Sequence[AnyPlanned], position: int, now: datetime) -> State:
    """What the key at a position is at a moment."""
    if ordered[position] is active_at(ordered, now):
        return State.ACTIVE
    replaced = replaced_at(ordered, position)
    if replaced is None or replaced > now:
        return State.PENDING
    return State.RETIRING if now < replaced + RETIRING_PERIOD else State.RETIRED

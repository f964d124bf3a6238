"""Hands due jobs to the broker and takes back what a worker or the broker lost. It keeps no state: kill it anywhere."""

from jobs.dispatcher.publishing import Publisher
from jobs.dispatcher.purging import Retention
from jobs.dispatcher.rounds import Pace, StoreDispatcher

__all__ = ["Pace", "Publisher", "Retention", "StoreDispatcher"]

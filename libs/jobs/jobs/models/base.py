"""The declarative base of the job tables. They live in the database of the service that owns the jobs."""

from common.db import ModelDefaults, new_metadata
from sqlalchemy.orm import DeclarativeBase


class Base(ModelDefaults, DeclarativeBase):
    """Every table of this package is in its metadata."""

    metadata = new_metadata()

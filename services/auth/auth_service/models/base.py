"""The declarative base of this service's tables."""

from common.db import ModelDefaults, new_metadata
from sqlalchemy.orm import DeclarativeBase


class Base(ModelDefaults, DeclarativeBase):
    metadata = new_metadata()

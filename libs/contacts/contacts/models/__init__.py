"""The tables of contacts; a service that owns them puts `Base.metadata` into its migrations."""

from contacts.models.contact import Base, Contact

__all__ = ["Base", "Contact"]

"""The shapes of exports."""

from common.web.shapes import Shape
from contacts.exports import ContactFilter, ExportFormat, ExportPayload
from contacts.fields import Tag


class ExportFilter(Shape):
    """Which contacts: those that meet everything that is given."""

    tag: Tag | None = None


class NewExport(Shape):
    """An export to make: all contacts without a filter."""

    format: ExportFormat
    filter: ExportFilter | None = None

    def payload(self) -> ExportPayload:
        """What the job is told."""
        wanted = ContactFilter() if self.filter is None else ContactFilter(tag=self.filter.tag)
        return ExportPayload(format=self.format, filter=wanted)

"""Made-up people for the benchmarks: as many as wanted, always the same, no two alike."""

import csv
import io
from collections.abc import Iterator

FIELDS = (
    "external_id",
    "name",
    "given_name",
    "family_name",
    "email",
    "phone",
    "organization",
    "address",
    "url",
    "birthday",
    "tags",
    "notes",
)


def people(count: int) -> Iterator[tuple[str, ...]]:
    """Yield rows of FIELDS as texts, about 250 bytes each."""
    for number in range(count):
        yield (
            f"E{number:09}",
            f"Given{number % 997} Fämily{number}",
            f"Given{number % 997}",
            f"Fämily{number}",
            f"person.{number}@example{number % 50}.org",
            f"+44 20 {number:08}",
            f"Organisation No. {number % 4000}, Ltd.",
            f"{number % 300} Long Road\nTown {number % 700}",
            f"https://example{number % 50}.org/people/{number}",
            f"{1930 + number % 80}-{1 + number % 12:02}-{1 + number % 28:02}",
            '["friend", "newsletter"]' if number % 3 == 0 else "",
            "",
        )


def write_csv(count: int) -> Iterator[bytes]:
    """Yield a CSV file of so many people in pieces of about 64 KiB."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(FIELDS)
    for row in people(count):
        writer.writerow(row)
        if buffer.tell() > 64 * 1024:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()

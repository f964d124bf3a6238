"""The jobs that run at set times, readable as a table of contents. There are none yet.

    SCHEDULES = (
        Schedule("contacts.digest", "api", "0 7 * * MON", CONTACTS_DIGEST, DigestPayload(), time_zone="Europe/Berlin"),
    )

What a schedule can say: libs/jobs, `jobs.schedules`. Old jobs are not deleted by a schedule: the dispatcher does that.
"""

from jobs.schedules import Schedule

SCHEDULES: tuple[Schedule, ...] = ()

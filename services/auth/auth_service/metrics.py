"""What this service counts beside its requests: refresh tokens that came twice."""

from prometheus_client import Counter

refresh_retries = Counter(
    "refresh_retries",
    "Refresh tokens presented again right after their use: origin `same`, or `other` than that of the use.",
    ["origin"],
)
refresh_reuses = Counter("refresh_reuses", "Old refresh tokens presented again: each ended its session.")
# Present from the start: an alert on the increase of a series misses the count that creates it.
for _origin in ("same", "other"):
    refresh_retries.labels(_origin)

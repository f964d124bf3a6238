"""What is measured about revocation, in every process that publishes or listens."""

from prometheus_client import Counter, Gauge

published = Counter(
    "revocations_published",
    "Revoked sessions sent to the stream: published, failed (sent again by the reconciler), or republished by it.",
    ["outcome"],
)
# Labelled, because a gauge without labels begins as 0, also in gunicorn's master, which never listens: the oldest
# of all processes would be 1970 for ever.
confirmed = Gauge(
    "revocations_confirmed_timestamp_seconds",
    "When a process last knew every revoked session, by the stream or the database; the oldest of all processes.",
    ["source"],
    multiprocess_mode="livemin",
)
sessions = Gauge("revoked_sessions", "Revoked sessions a process knows.", multiprocess_mode="livemax")
resets = Counter("revocation_stream_resets", "Times the stream turned out to have lost its data.")

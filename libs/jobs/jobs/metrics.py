"""What worker and dispatcher measure. Names and meaning are listed in services/worker/README.md."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

# Counted in the worker's processes.
attempts = Counter("job_attempts", "Attempts started.", ["store", "kind"])
outcomes = Counter("job_outcomes", "Attempts ended, by how.", ["store", "kind", "outcome"])
wait_seconds = Histogram("job_wait_seconds", "From due to started.", ["store", "kind"], buckets=_SECONDS)
run_seconds = Histogram("job_run_seconds", "One attempt, from claim to end.", ["store", "kind"], buckets=_SECONDS)
end_to_end_seconds = Histogram(
    "job_end_to_end_seconds", "From accepted to finished, retries included.", ["store", "kind"], buckets=_SECONDS
)
claim_skipped = Counter("claim_skipped", "Messages whose job was not there to claim.", ["store"])
fenced_off = Counter("fenced_off", "Writes refused because the job was no longer this worker's.", ["store"])

# Counted in the dispatcher.
dispatch_lag_seconds = Histogram("dispatch_lag_seconds", "From due to published.", ["store"], buckets=_SECONDS)
published = Counter("dispatched", "Jobs published.", ["store"])
redispatched = Counter("redispatch", "Jobs published again because nobody picked them up.", ["store"])
publish_errors = Counter("publish_errors", "Rounds in which the broker did not take a job.", ["store"])
lease_expired = Counter("lease_expired", "Jobs taken from a worker that went silent.", ["store"])
dead = Counter("dead", "Jobs that died by crashes.", ["store"])
jobs_purged = Counter("jobs_purged", "Ended jobs deleted when their time was over.", ["store", "state"])
files_purged = Counter("job_files_purged", "Files deleted with their jobs, or because they had none.", ["store"])
purge_overdue_seconds = Gauge(
    "purge_overdue_seconds", "How long the oldest ended job has stayed beyond its time.", ["store"]
)
duty_done = Gauge(
    "dispatcher_duty_done_timestamp_seconds",
    "When a duty was last done; at first, when it was taken on.",
    ["store", "duty"],
)
upkeep_deleted = Counter("upkeep_deleted", "Rows deleted for a service, beside jobs.", ["store", "duty"])
schedule_late_seconds = Gauge(
    "schedule_late_seconds", "How long the oldest time of a schedule waited for its job.", ["store", "schedule"]
)
jobs = Gauge("jobs", "Jobs in states that somebody may have to look at.", ["store", "state", "kind"])
oldest_due_age_seconds = Gauge("oldest_due_age_seconds", "How long the oldest due job waits.", ["store", "queue"])

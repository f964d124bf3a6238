"""The jobs of the api's own store, for operators: whoever owns them."""

from common.access import require
from jobs.admin import make_admin_jobs

# Strict: with a stolen token of an operator everybody's work can be stopped.
admin_jobs = make_admin_jobs(require("jobs:admin", revocation="strict"))

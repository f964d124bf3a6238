"""What drills do to workers, dispatchers, broker and database while jobs run, and what they hold jobs to afterwards."""

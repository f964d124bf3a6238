"""What `python -m common.db.migrate` runs. For programs, `common.db.migrate` is the function (see migrations.py)."""

import sys

from common.db.migrate_command import main

if __name__ == "__main__":
    sys.exit(main())

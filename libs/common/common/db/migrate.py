"""What `python -m common.db.migrate` runs. Never imported: `common.db.migrate` is the function for programs."""

import sys

from common.db.migrate_command import main

sys.exit(main())

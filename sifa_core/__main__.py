"""`python -m sifa_core`."""

import sys

from sifa_core.cli import main

sys.exit(main())

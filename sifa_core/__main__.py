"""`python -m sifa_core`, which is `sifa`."""

import sys

from sifa_core.cli import main

sys.exit(main())

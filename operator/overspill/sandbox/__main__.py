"""`python -m overspill.sandbox`."""

import sys

from overspill.sandbox.main import main

sys.exit(main())

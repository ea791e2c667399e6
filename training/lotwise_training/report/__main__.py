"""python -m lotwise_training.report: see build.py."""

import sys

from lotwise_training.report.build import main

sys.exit(main())

"""`python -m capi_pipeline.reference docs`: write the generated pages and sections."""

from __future__ import annotations

import sys
from pathlib import Path

from capi_pipeline.reference import write

write(Path(sys.argv[1]))

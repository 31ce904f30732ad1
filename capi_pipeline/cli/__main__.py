"""`python -m capi_pipeline.cli` is `capi`."""

from capi_pipeline.cli import main

main()

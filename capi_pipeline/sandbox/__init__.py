"""Stand-ins of the ad platforms' conversion APIs, for the demo and for tests.

An independent second reading of the platforms' documentation: this package imports nothing from the rest of
capi_pipeline, so that a rule misread there is not misread here in the same way.
"""

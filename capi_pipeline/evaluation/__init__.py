"""How well people are stitched and clicks attributed, measured against the schema `truth` of simulated data.

Tables in, figures out: any generator that fills `raw` and `truth` can be judged.
"""

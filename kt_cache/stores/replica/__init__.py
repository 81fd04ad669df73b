"""Reads from a copy in this machine's memory of what a Kyoto Tycoon server has.

One process of the machine, the follower, keeps the copy (`following`, with `records` and `markers`); whichever
worker finds that there is none starts one (`election`). Workers read the copy in their own process and write to the
master (`store`); what all of them share besides the records is in `words`.
"""

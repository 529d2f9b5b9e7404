"""Tells a user what happens to sweeps: that one has ended, that a run failed for good, that nothing moves any more.

Whoever notices something (the command that trains, a Slurm job that ends, `rdc-sweep notify`) starts the same pass in a
process of its own. It reads the sweeps that are watched, sends what is due and not yet sent, and records that:

runs/notifications/lock               held by a pass
                   sweeps/<id>.json   a sweep that is watched: a table or study that somebody trains
                   sent/<id>.json     a notification, and by which channels it was sent
                   log.txt            output of the passes that training commands start

A notification is sent at least once by each channel: a pass that is killed after sending and before recording sends it
again.
"""

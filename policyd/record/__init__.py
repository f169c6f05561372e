"""The append-only record: a Merkle log of events that shows when somebody cut, edited or restored it.

`entries` says what an entry's bytes are, `merkle` hashes and proves, `note` and `checkpoint` sign a tree head, `log`
grows the tree, `runs` reads runs out of events, `tiles` is the form any log client reads, `verify` recomputes it all.

Sources: RFC 6962; C2SP signed-note, tlog-checkpoint and tlog-tiles.
"""

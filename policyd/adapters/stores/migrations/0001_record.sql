-- The log. `entries` and `nodes` only ever grow; `head` has one row.
CREATE TABLE entries (
    number INTEGER PRIMARY KEY,
    content BLOB NOT NULL
) STRICT;

-- Complete subtrees: level 0 are the leaves. With them every proof is a handful of look-ups.
CREATE TABLE nodes (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    size INTEGER NOT NULL,
    checkpoint TEXT,
    indexed INTEGER NOT NULL
) STRICT;
INSERT INTO head (one, size, checkpoint, indexed) VALUES (1, 0, NULL, 0);

-- The index: made from the entries, never evidence. Dropped rows come back by reading the log again.
CREATE TABLE runs (
    place INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    summary TEXT NOT NULL
) STRICT;
CREATE INDEX runs_by_state ON runs (state);

CREATE TABLE stages (
    place INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    summary TEXT NOT NULL,
    UNIQUE (run_id, name, attempt)
) STRICT;

CREATE TABLE run_entries (
    run_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run_id, number)
) STRICT, WITHOUT ROWID;

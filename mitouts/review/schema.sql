-- Schema of a review database. Nothing in it is ever changed or deleted: the state is a view of the log.
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE items (item_id INTEGER PRIMARY KEY, content TEXT NOT NULL);

CREATE TABLE log (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('decide', 'undo')),
    rater TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('rater', 'tiebreaker')),
    item_id INTEGER NOT NULL REFERENCES items (item_id),
    label TEXT CHECK (label IN ('mitotic', 'look_alike', 'unsure')),
    old_label TEXT,
    previous TEXT,
    moved TEXT,
    added TEXT,
    seconds REAL,
    blinded INTEGER NOT NULL CHECK (blinded IN (0, 1)),
    undoes INTEGER UNIQUE REFERENCES log (entry_id),
    version TEXT NOT NULL,
    teacher_sha256 TEXT,
    CHECK ((action = 'decide') = (label IS NOT NULL)),
    CHECK ((action = 'undo') = (undoes IS NOT NULL))
);
CREATE INDEX log_by_rater ON log (rater, item_id);

CREATE TRIGGER log_is_kept BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER log_is_never_shortened BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER items_are_kept BEFORE UPDATE ON items BEGIN SELECT RAISE(ABORT, 'items do not change'); END;
CREATE TRIGGER items_stay BEFORE DELETE ON items BEGIN SELECT RAISE(ABORT, 'items do not change'); END;

-- Decisions that are not taken back.
CREATE VIEW standing AS
SELECT * FROM log AS decision
WHERE action = 'decide' AND NOT EXISTS (SELECT 1 FROM log AS undo WHERE undo.undoes = decision.entry_id);

-- The last of them of each rater and item: what holds.
CREATE VIEW decisions AS
SELECT * FROM standing
WHERE entry_id IN (SELECT max(entry_id) FROM standing GROUP BY rater, item_id);

-- What the hub was made with: signatures made with other settings can't be compared.
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- A model is in the hub if it has a row here.
CREATE TABLE models (
  id TEXT PRIMARY KEY,
  signature BLOB NOT NULL,
  origin TEXT NOT NULL CHECK (origin IN ('zoo', 'folder', 'upload')),
  path TEXT,
  -- What its card says of where it comes from, as JSON.
  stated TEXT NOT NULL,
  -- Milliseconds since 1970.
  added INTEGER NOT NULL
) STRICT;

CREATE TABLE jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  model TEXT NOT NULL,
  path TEXT NOT NULL,
  stated TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  code TEXT,
  message TEXT,
  queued INTEGER NOT NULL,
  ended INTEGER
) STRICT;

-- No two unfinished jobs are for one model.
CREATE UNIQUE INDEX unfinished_jobs ON jobs (model) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_path ON jobs (path);
CREATE INDEX jobs_by_state ON jobs (state);

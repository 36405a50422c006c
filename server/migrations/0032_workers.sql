-- Processes that carry out runs. Alive is who was seen lately, in the database's time.
CREATE TABLE workers (
    owner text PRIMARY KEY,
    host text NOT NULL,
    version text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
);

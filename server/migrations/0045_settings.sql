-- Settings of the whole installation that administrators change in the console, by key.
CREATE TABLE settings (
    key text PRIMARY KEY,
    value jsonb NOT NULL,
    changed_at timestamptz NOT NULL,
    changed_by text NOT NULL
);

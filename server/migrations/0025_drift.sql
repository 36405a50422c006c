-- Where the app differs from what Rollcall left there, as last read back.

CREATE TABLE drifts (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    kind text NOT NULL
        CONSTRAINT drifts_kind_is_known CHECK (kind IN ('active', 'inactive', 'values', 'gone')),
    account_id text NOT NULL,
    changes jsonb NOT NULL DEFAULT '[]',
    first_found_at timestamptz NOT NULL,
    last_found_at timestamptz NOT NULL,
    PRIMARY KEY (app_id, person_id, kind)
);

-- Somebody asked for the app to be read back at its next run.
ALTER TABLE apps ADD COLUMN drift_wanted boolean NOT NULL DEFAULT false;

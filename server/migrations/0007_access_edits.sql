-- A change of user access that somebody reviews before it is saved.

CREATE TABLE access_edits (
    app_id uuid PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    access jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

-- What became of the last test of each scope, one at a time, so that the connection page shows it.

CREATE TABLE scope_checks (
    scope text PRIMARY KEY,
    result text NOT NULL
        CONSTRAINT scope_checks_result_is_known CHECK (result IN ('granted', 'missing', 'failed')),
    sentence text NOT NULL,
    checked_at timestamptz NOT NULL
);

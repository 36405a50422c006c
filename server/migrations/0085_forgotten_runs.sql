-- What runs came to that are forgotten: counters of /metrics never go back.
CREATE TABLE forgotten_runs (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    kind text NOT NULL,
    outcome text NOT NULL,
    runs bigint NOT NULL,
    directory_requests bigint NOT NULL,
    scim_reads bigint NOT NULL,
    scim_writes bigint NOT NULL,
    PRIMARY KEY (app_id, kind, outcome)
);

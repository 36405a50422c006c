-- Runs, their operations (the journal), the people they skipped, and failures between runs.

CREATE TABLE runs (
    id uuid PRIMARY KEY,
    -- What people call it.
    number bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT runs_number_is_unique UNIQUE,
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    -- An approved preview: exactly its plan is carried out.
    plan_of uuid REFERENCES runs (id) ON DELETE SET NULL,
    kind text NOT NULL
        CONSTRAINT runs_kind_is_known CHECK (kind IN ('scheduled', 'manual', 'shell', 'preview')),
    state text NOT NULL
        CONSTRAINT runs_state_is_known
        CHECK (state IN ('queued', 'running', 'completed', 'held', 'stopped', 'failed')),
    stage text NOT NULL DEFAULT 'import'
        CONSTRAINT runs_stage_is_known CHECK (stage IN ('import', 'plan', 'check', 'apply', 'record')),
    actor text NOT NULL,
    config_version integer NOT NULL,
    import_id bigint,
    fresh_import boolean NOT NULL DEFAULT false,
    -- The newest import when this was asked for: a fresh one has a higher number, whatever clocks say.
    after_import bigint NOT NULL DEFAULT 0,
    queued_at timestamptz NOT NULL,
    started_at timestamptz,
    apply_started_at timestamptz,
    finished_at timestamptz,
    -- A lease in the database's time, so that processes with different clocks agree.
    owner text,
    heartbeat_at timestamptz,
    stop_requested_by text,
    total integer NOT NULL DEFAULT 0,
    done integer NOT NULL DEFAULT 0,
    people integer NOT NULL DEFAULT 0,
    planned jsonb NOT NULL DEFAULT '{}',
    applied jsonb NOT NULL DEFAULT '{}',
    failed integer NOT NULL DEFAULT 0,
    held integer NOT NULL DEFAULT 0,
    directory_requests bigint NOT NULL DEFAULT 0,
    scim_reads bigint NOT NULL DEFAULT 0,
    scim_writes bigint NOT NULL DEFAULT 0,
    error_code text,
    error_message text
);
CREATE UNIQUE INDEX runs_one_active_per_app ON runs (app_id)
    WHERE state IN ('queued', 'running') AND kind <> 'preview';
CREATE INDEX runs_by_app ON runs (app_id, queued_at DESC);

CREATE TABLE operations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    app_id uuid NOT NULL,
    person_id text NOT NULL,
    person_email text NOT NULL,
    person_name text NOT NULL,
    -- Managers before their reports; within a person in the order of the plan.
    wave integer NOT NULL DEFAULT 0,
    step integer NOT NULL DEFAULT 0,
    kind text NOT NULL
        CONSTRAINT operations_kind_is_known
        CHECK (kind IN ('create', 'link', 'update', 'suspend', 'unsuspend', 'delete')),
    state text NOT NULL DEFAULT 'planned'
        CONSTRAINT operations_state_is_known
        CHECK (state IN ('planned', 'sending', 'done', 'failed', 'held', 'superseded')),
    plan jsonb NOT NULL,
    reason text NOT NULL,
    manager_id text,
    account_id text,
    attempts integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    finished_at timestamptz,
    error_code text,
    error_message text,
    exchange jsonb
);
CREATE INDEX operations_by_run ON operations (run_id, wave, person_id, step);
CREATE INDEX operations_open ON operations (run_id) WHERE state IN ('planned', 'sending');
CREATE INDEX operations_by_person ON operations (app_id, person_id, id DESC);
CREATE INDEX operations_removals ON operations (app_id, finished_at) WHERE kind IN ('suspend', 'delete') AND state = 'done';

CREATE TABLE skipped (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    person_email text NOT NULL,
    person_name text NOT NULL,
    rule text NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (run_id, person_id)
);

-- What did not work for a person, kept until it works or is ignored.
CREATE TABLE failures (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    message text NOT NULL,
    permanent boolean NOT NULL,
    attempts integer NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    next_try_at timestamptz,
    -- A permanent failure is tried again once what was sent would differ.
    body_hash bytea,
    ignored boolean NOT NULL DEFAULT false,
    run_id uuid,
    PRIMARY KEY (app_id, person_id)
);

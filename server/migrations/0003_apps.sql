-- Apps, their configuration in versions, and who is linked to which account.

CREATE TABLE apps (
    id uuid PRIMARY KEY,
    slug text NOT NULL CONSTRAINT apps_slug_is_unique UNIQUE,
    catalog text NOT NULL,
    name text NOT NULL,
    endpoint text NOT NULL,
    state text NOT NULL
        CONSTRAINT apps_state_is_known CHECK (state IN ('not_configured', 'off', 'on', 'stopped')),
    stop_code text,
    stop_message text,
    stopped_at timestamptz,
    config_version integer NOT NULL DEFAULT 0,
    -- What the app showed about itself: PATCH or PUT, page sizes, attributes that it keeps.
    learned jsonb NOT NULL DEFAULT '{}',
    facts jsonb NOT NULL DEFAULT '{}',
    authorized_at timestamptz,
    -- The plan that an administrator saw before turning on; matches in it may be linked.
    first_plan_confirmed boolean NOT NULL DEFAULT false,
    turned_on_at timestamptz,
    last_run_at timestamptz,
    next_run_at timestamptz,
    last_drift_at timestamptz,
    paused_until timestamptz,
    pause_step integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    CONSTRAINT apps_stopped_says_why CHECK (state <> 'stopped' OR stop_code IS NOT NULL)
);

CREATE TABLE app_configs (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    version integer NOT NULL,
    config jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    actor text NOT NULL,
    note text NOT NULL DEFAULT '',
    PRIMARY KEY (app_id, version)
);

CREATE TABLE app_drafts (
    app_id uuid PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    draft jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

CREATE TABLE links (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    account_id text NOT NULL,
    user_name text NOT NULL,
    state text NOT NULL
        CONSTRAINT links_state_is_known CHECK (state IN ('active', 'suspended_by_us', 'deleted', 'gone')),
    origin text NOT NULL
        CONSTRAINT links_origin_is_known CHECK (origin IN ('created', 'linked')),
    -- The mapped body that the app last acknowledged, and what it returned for it.
    body jsonb,
    returned jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (app_id, person_id)
);
CREATE UNIQUE INDEX links_account_is_linked_once ON links (app_id, account_id) WHERE state <> 'deleted';

-- Clocks of the triggers, one row per person and app once anything was observed.
CREATE TABLE lifecycles (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    lifecycle jsonb NOT NULL,
    next_due_at timestamptz,
    next_step text,
    next_trigger text,
    next_held boolean NOT NULL DEFAULT false,
    PRIMARY KEY (app_id, person_id)
);
CREATE INDEX lifecycles_by_due ON lifecycles (app_id, next_due_at) WHERE next_due_at IS NOT NULL;

-- The app's accounts as last listed, to prove who is absent.
CREATE TABLE app_accounts (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    account_id text NOT NULL,
    user_name_key text NOT NULL,
    account jsonb NOT NULL,
    PRIMARY KEY (app_id, account_id)
);
CREATE INDEX app_accounts_by_user_name ON app_accounts (app_id, user_name_key);
-- Accounts that were found for people whose match waits for a decision, so that a run in which
-- nothing changed asks the app nothing.
CREATE TABLE found_accounts (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    user_name_key text NOT NULL,
    accounts jsonb NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (app_id, person_id)
);
CREATE TABLE app_account_listings (
    app_id uuid PRIMARY KEY REFERENCES apps (id) ON DELETE CASCADE,
    trusted boolean NOT NULL,
    why_not text,
    listed_at timestamptz NOT NULL,
    run_id uuid
);

-- The directory as it was last read in full, and the connection it was read through.

CREATE TABLE directory_connection (
    singleton boolean PRIMARY KEY DEFAULT true
        CONSTRAINT directory_connection_is_single CHECK (singleton),
    endpoint text NOT NULL,
    token_uri text NOT NULL,
    admin_email text NOT NULL,
    customer text NOT NULL,
    client_email text NOT NULL,
    client_id text NOT NULL DEFAULT '',
    -- Whose directory this is, recorded at the first import.
    customer_id text,
    primary_domain text,
    -- Another identity that a later import met; every app stops until it is confirmed.
    seen_customer_id text,
    seen_primary_domain text,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

CREATE TABLE imports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state text NOT NULL
        CONSTRAINT imports_state_is_known CHECK (state IN ('running', 'complete', 'failed')),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- A lease in the database's time: an import whose process died is given up.
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    people integer NOT NULL DEFAULT 0,
    deleted_people integer NOT NULL DEFAULT 0,
    unknown_people integer NOT NULL DEFAULT 0,
    groups integer NOT NULL DEFAULT 0,
    org_units integer NOT NULL DEFAULT 0,
    memberships integer NOT NULL DEFAULT 0,
    requests bigint NOT NULL DEFAULT 0,
    -- Objects that were skipped, with the reason.
    odd jsonb NOT NULL DEFAULT '[]',
    error_code text,
    error_message text
);
CREATE UNIQUE INDEX imports_one_at_a_time ON imports ((true)) WHERE state = 'running';

CREATE TABLE people (
    id text PRIMARY KEY,
    primary_email text NOT NULL,
    full_name text NOT NULL,
    standing text NOT NULL
        CONSTRAINT people_standing_is_known
        CHECK (standing IN ('active', 'suspended', 'archived', 'deleted', 'unknown')),
    is_guest boolean NOT NULL,
    org_unit_path text NOT NULL,
    manager_email text,
    person jsonb NOT NULL,
    fingerprint bytea NOT NULL,
    seen_in bigint NOT NULL,
    changed_in bigint NOT NULL,
    -- Google keeps deleted people for 20 days; a confirmed 404 is never asked again.
    purged boolean NOT NULL DEFAULT false
);
CREATE INDEX people_by_email ON people (lower(primary_email));
CREATE INDEX people_by_name ON people (lower(full_name), id);
CREATE INDEX people_by_org_unit ON people (org_unit_path);

CREATE TABLE person_addresses (
    address text NOT NULL,
    person_id text NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    PRIMARY KEY (address, person_id)
);
COMMENT ON TABLE person_addresses IS 'Lower-case primary addresses and aliases: a manager is named by any of them.';
CREATE INDEX person_addresses_by_person ON person_addresses (person_id);

CREATE UNLOGGED TABLE people_staging (
    import_id bigint NOT NULL,
    id text NOT NULL,
    primary_email text NOT NULL,
    full_name text NOT NULL,
    standing text NOT NULL,
    is_guest boolean NOT NULL,
    org_unit_path text NOT NULL,
    manager_email text,
    addresses text[] NOT NULL,
    person jsonb NOT NULL,
    fingerprint bytea NOT NULL,
    PRIMARY KEY (import_id, id)
);

CREATE TABLE org_units (
    id text PRIMARY KEY,
    path text NOT NULL CONSTRAINT org_units_path_is_unique UNIQUE,
    name text NOT NULL,
    parent_id text
);

CREATE TABLE domains (
    name text PRIMARY KEY,
    is_primary boolean NOT NULL
);

CREATE TABLE groups (
    id text PRIMARY KEY,
    email text NOT NULL,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    direct_members bigint NOT NULL DEFAULT 0,
    aliases text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX groups_by_email ON groups (lower(email));

-- Direct memberships, of those groups whose members were read.
CREATE TABLE memberships (
    group_id text NOT NULL,
    member_id text NOT NULL,
    member_type text NOT NULL,
    email text NOT NULL DEFAULT '',
    role text NOT NULL DEFAULT '',
    status text NOT NULL DEFAULT '',
    PRIMARY KEY (group_id, member_id)
);
CREATE INDEX memberships_by_member ON memberships (member_id);

CREATE UNLOGGED TABLE memberships_staging (
    import_id bigint NOT NULL,
    group_id text NOT NULL,
    member_id text NOT NULL,
    member_type text NOT NULL,
    email text NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    PRIMARY KEY (import_id, group_id, member_id)
);

CREATE TABLE group_reads (
    group_id text PRIMARY KEY,
    read_at timestamptz NOT NULL,
    in_import boolean NOT NULL
);
COMMENT ON TABLE group_reads IS 'When the members of a group were last listed: with every import, or because somebody looked.';

-- Which groups a group reaches through nesting, itself included (empty path). Cycles end.
CREATE TABLE group_reach (
    root_id text NOT NULL,
    group_id text NOT NULL,
    path text[] NOT NULL,
    PRIMARY KEY (root_id, group_id)
);
CREATE INDEX group_reach_by_group ON group_reach (group_id);

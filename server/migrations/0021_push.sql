-- Channels through which Google says that people changed. Of each token only a keyed hash is kept.
CREATE TABLE push_channels (
    id uuid PRIMARY KEY,
    event text NOT NULL
        CONSTRAINT push_channels_event_is_known CHECK (event IN ('add', 'delete', 'undelete', 'update')),
    address text NOT NULL,
    token_hash bytea NOT NULL,
    opened_at timestamptz NOT NULL,
    -- Known once Google has answered.
    resource_id text,
    renew_at timestamptz,
    expires_at timestamptz,
    -- Another channel took its place; it is to be stopped at Google.
    replaced boolean NOT NULL DEFAULT false
);

CREATE TABLE push_state (
    singleton boolean PRIMARY KEY DEFAULT true
        CONSTRAINT push_state_is_single CHECK (singleton),
    -- Why there is no channel, and when one is tried again.
    problem text,
    next_try_at timestamptz,
    -- The last notification, and the last runs that were begun for one.
    hinted_at timestamptz,
    taken_at timestamptz
);
INSERT INTO push_state DEFAULT VALUES;

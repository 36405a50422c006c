-- Who is told when something needs somebody (S9.4): channels, what they were told of, and the
-- messages on their way. Passwords and secrets of channels are in credentials.

CREATE TABLE notification_channels (
    id uuid PRIMARY KEY,
    kind text NOT NULL
        CONSTRAINT notification_channels_kind_is_known CHECK (kind IN ('email', 'webhook')),
    name text NOT NULL,
    settings jsonb NOT NULL,
    is_on boolean NOT NULL DEFAULT true,
    digest boolean NOT NULL DEFAULT false,
    -- A webhook's secret is shown until this time, or until somebody says that it is kept.
    secret_shown_until timestamptz,
    created_at timestamptz NOT NULL,
    digest_at timestamptz,
    delivered_at timestamptz,
    -- While the last try did not arrive.
    failed_at timestamptz,
    error text
);

-- One open cause for each thing that needs somebody: the reason that it is told once.
CREATE TABLE notification_causes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key text NOT NULL,
    title text NOT NULL,
    path text NOT NULL,
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX notification_causes_open_once ON notification_causes (key) WHERE resolved_at IS NULL;

CREATE TABLE notification_outbox (
    -- Receivers tell by it whether they have seen a message.
    id uuid PRIMARY KEY,
    channel_id uuid NOT NULL REFERENCES notification_channels (id) ON DELETE CASCADE,
    cause_id bigint REFERENCES notification_causes (id) ON DELETE CASCADE,
    kind text NOT NULL
        CONSTRAINT notification_outbox_kind_is_known CHECK (kind IN ('opened', 'resolved', 'digest', 'test')),
    message jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    -- NULL: delivered or given up.
    next_try_at timestamptz,
    delivered_at timestamptz,
    error text
);
CREATE INDEX notification_outbox_due ON notification_outbox (next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX notification_outbox_by_channel ON notification_outbox (channel_id, created_at DESC);
CREATE INDEX notification_outbox_by_cause ON notification_outbox (cause_id);

-- Which kinds there are, the program says.
ALTER TABLE credentials DROP CONSTRAINT credentials_kind_known;
ALTER TABLE credentials ADD CONSTRAINT credentials_kind_known CHECK (kind ~ '^[a-z_]+$');

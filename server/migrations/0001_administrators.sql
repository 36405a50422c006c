-- Who may use the console, their sessions, and the secrets that the console keeps for them.

CREATE TABLE administrators (
    id            uuid PRIMARY KEY,
    email         text NOT NULL CONSTRAINT administrators_email_lower CHECK (email = lower(email)),
    password_hash text NOT NULL,
    role          text NOT NULL
                  CONSTRAINT administrators_role_known CHECK (role IN ('super_administrator', 'auditor')),
    created_at    timestamptz NOT NULL,
    last_sign_in  timestamptz,
    CONSTRAINT administrators_email_unique UNIQUE (email)
);

-- Only a hash of the cookie's value is kept, so that a copy of the table signs nobody in.
CREATE TABLE sessions (
    id_hash          bytea PRIMARY KEY
                     CONSTRAINT sessions_id_hash_length CHECK (octet_length(id_hash) = 32),
    administrator_id uuid CONSTRAINT sessions_administrator REFERENCES administrators ON DELETE CASCADE,
    data             jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX sessions_administrator_id ON sessions (administrator_id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- One-time links: for the first administrator, for a lost password, for the demo's door.
CREATE TABLE one_time_links (
    token_hash       bytea PRIMARY KEY
                     CONSTRAINT one_time_links_token_hash_length CHECK (octet_length(token_hash) = 32),
    purpose          text NOT NULL CONSTRAINT one_time_links_purpose_known
                     CHECK (purpose IN ('first_administrator', 'reset_password', 'demo_sign_in')),
    administrator_id uuid CONSTRAINT one_time_links_administrator REFERENCES administrators ON DELETE CASCADE,
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    used_at          timestamptz,
    CONSTRAINT one_time_links_for_somebody
    CHECK ((purpose = 'first_administrator') = (administrator_id IS NULL))
);

-- Failed sign-ins in a row, by account and by address.
CREATE TABLE sign_in_failures (
    subject      text PRIMARY KEY,
    failures     integer NOT NULL,
    last_failure timestamptz NOT NULL,
    next_allowed timestamptz NOT NULL
);

CREATE TABLE credentials (
    kind       text NOT NULL
               CONSTRAINT credentials_kind_known CHECK (kind IN ('directory_key', 'app_token')),
    owner      text NOT NULL,
    key_id     text NOT NULL,
    nonce      bytea NOT NULL CONSTRAINT credentials_nonce_length CHECK (octet_length(nonce) = 12),
    ciphertext bytea NOT NULL,
    stored_at  timestamptz NOT NULL,
    CONSTRAINT credentials_key PRIMARY KEY (kind, owner)
);

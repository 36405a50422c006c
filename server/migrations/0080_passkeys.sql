-- Passkeys (WebAuthn) as a second factor. What is kept of one is public: whoever reads it can't
-- sign with it.
CREATE TABLE passkeys (
    id               uuid PRIMARY KEY,
    administrator_id uuid NOT NULL
                     CONSTRAINT passkeys_administrator REFERENCES administrators ON DELETE CASCADE,
    name             text NOT NULL
                     CONSTRAINT passkeys_name_is_short CHECK (length(name) BETWEEN 1 AND 60),
    -- The name of the console's address for which it was made: browsers offer it nowhere else.
    site             text NOT NULL,
    credential_id    bytea NOT NULL
                     CONSTRAINT passkeys_credential_id_length CHECK (octet_length(credential_id) BETWEEN 1 AND 1023)
                     CONSTRAINT passkeys_credential_id_is_unique UNIQUE,
    -- How the browser may reach it, as bits.
    transports       smallint NOT NULL,
    -- The public key and what was agreed when it was made.
    made             bytea NOT NULL,
    -- The counter of its signatures, and what else changes with each.
    state            bytea NOT NULL,
    created_at       timestamptz NOT NULL,
    used_at          timestamptz
);
CREATE INDEX passkeys_administrator_id ON passkeys (administrator_id);

-- What a session was asked to sign. Each is good once, and goes with its session.
CREATE TABLE passkey_challenges (
    session_hash bytea NOT NULL
                 CONSTRAINT passkey_challenges_session REFERENCES sessions ON DELETE CASCADE,
    purpose      text NOT NULL
                 CONSTRAINT passkey_challenges_purpose_known CHECK (purpose IN ('add', 'prove')),
    state        bytea NOT NULL,
    expires_at   timestamptz NOT NULL,
    CONSTRAINT passkey_challenges_key PRIMARY KEY (session_hash, purpose)
);

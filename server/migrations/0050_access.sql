-- Second factors, invitations, and administrators who are shut out without being removed.

-- An invited administrator has no password until the link is used.
ALTER TABLE administrators ALTER COLUMN password_hash DROP NOT NULL;
ALTER TABLE administrators ADD COLUMN disabled_at timestamptz;

-- The secret itself is among the credentials. A step of half a minute is good once.
CREATE TABLE authenticators (
    administrator_id uuid PRIMARY KEY
                     CONSTRAINT authenticators_administrator REFERENCES administrators ON DELETE CASCADE,
    confirmed_at     timestamptz NOT NULL,
    last_step        bigint NOT NULL
);

CREATE TABLE recovery_codes (
    administrator_id uuid NOT NULL
                     CONSTRAINT recovery_codes_administrator REFERENCES administrators ON DELETE CASCADE,
    code_hash        bytea NOT NULL
                     CONSTRAINT recovery_codes_code_hash_length CHECK (octet_length(code_hash) = 32),
    used_at          timestamptz,
    CONSTRAINT recovery_codes_key PRIMARY KEY (administrator_id, code_hash)
);

-- Which kinds there are, the program says.
ALTER TABLE credentials DROP CONSTRAINT credentials_kind_known;
ALTER TABLE credentials ADD CONSTRAINT credentials_kind_word CHECK (kind ~ '^[a-z_]+$');

ALTER TABLE one_time_links DROP CONSTRAINT one_time_links_purpose_known;
ALTER TABLE one_time_links ADD CONSTRAINT one_time_links_purpose_known
    CHECK (purpose IN ('first_administrator', 'invitation', 'reset_password', 'reset_access', 'demo_sign_in'));

-- What is known of an app's accounts is each run's own: a preview lists beside a run under way.

DELETE FROM app_accounts;
DELETE FROM app_account_listings;

ALTER TABLE app_accounts
    ADD COLUMN run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    DROP CONSTRAINT app_accounts_pkey,
    ADD PRIMARY KEY (app_id, run_id, account_id);
DROP INDEX app_accounts_by_user_name;
CREATE INDEX app_accounts_by_user_name ON app_accounts (run_id, user_name_key);

ALTER TABLE app_account_listings
    DROP COLUMN run_id,
    ADD COLUMN run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    DROP CONSTRAINT app_account_listings_pkey,
    ADD PRIMARY KEY (app_id, run_id);

-- What a run that fails must not lose: since when an app is not on, and that what fell due
-- meanwhile is still to be held.
ALTER TABLE apps
    ADD COLUMN off_since timestamptz,
    -- Removals that were due before this are held by the next run that gets to look at them.
    ADD COLUMN overdue_before timestamptz,
    -- Until one run carried its plan out, matches are those of the confirmed first plan.
    ADD COLUMN first_run_done boolean NOT NULL DEFAULT false,
    -- Somebody allowed a removal or asked for one now, after the newest plan was made.
    ADD COLUMN run_wanted boolean NOT NULL DEFAULT false;
UPDATE apps SET first_run_done = EXISTS (SELECT 1 FROM links WHERE links.app_id = apps.id);
UPDATE apps SET off_since = last_run_at WHERE state <> 'on';

-- What an administrator decided about somebody who has no account.
CREATE TABLE person_decisions (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    decision text NOT NULL
        CONSTRAINT person_decisions_decision_is_known CHECK (decision IN ('link', 'leave', 'create')),
    -- The account to link.
    account_id text,
    decided_at timestamptz NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (app_id, person_id),
    CONSTRAINT person_decisions_link_names_the_account
        CHECK ((decision = 'link') = (account_id IS NOT NULL))
);

-- Linked people of whom nothing but the manager changes, once the manager has an account.
CREATE TABLE awaiting_manager (
    run_id uuid NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    manager_id text NOT NULL,
    PRIMARY KEY (run_id, person_id)
);

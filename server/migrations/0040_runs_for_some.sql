-- Runs for some people only, and people who were read on their own.

ALTER TABLE runs
    -- Directory ids; empty means everybody.
    ADD COLUMN only_people text[] NOT NULL DEFAULT '{}',
    -- What was read and decided about each of them, as it was then.
    ADD COLUMN trace jsonb;
CREATE INDEX runs_for_some ON runs (app_id, number DESC) WHERE only_people <> '{}';

ALTER TABLE people
    -- When the person was last read outside of an import, which may have listed them before.
    ADD COLUMN read_alone_at timestamptz,
    -- False until a listing has shown somebody who was first read on their own.
    ADD COLUMN listed boolean NOT NULL DEFAULT true;

-- Whom Google says changed, until a run of the app has looked; without a person it may be anybody.
CREATE TABLE push_hints (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text,
    hinted_at timestamptz NOT NULL,
    CONSTRAINT push_hints_person_is_hinted_once UNIQUE NULLS NOT DISTINCT (app_id, person_id)
);

-- A failed removal is the same one only for the same trigger, seen at the same time.
ALTER TABLE failures
    ADD COLUMN cause text,
    ADD COLUMN cause_since timestamptz;

-- Why an app is paused, so that each cause is told once.
ALTER TABLE apps ADD COLUMN pause_cause text;

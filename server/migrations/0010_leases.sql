-- Each take of a run has a lease of its own: whoever held the run before can write nothing of it.

ALTER TABLE runs ADD COLUMN lease uuid;
-- Requests in doubt outlive their run, and are settled first by the app's next one.
CREATE INDEX operations_in_doubt ON operations (app_id) WHERE state = 'sending';

-- Which groups an import was asked for, by id and by address: it serves only apps that name these.
ALTER TABLE imports ADD COLUMN asked_groups text[] NOT NULL DEFAULT '{}';

-- A directory that lost more than half of its people at once waits for an administrator.
ALTER TABLE directory_connection
    ADD COLUMN shrunk_from integer,
    ADD COLUMN shrunk_to integer,
    -- So few people are right; fewer by half again have to be confirmed anew.
    ADD COLUMN confirmed_people integer;

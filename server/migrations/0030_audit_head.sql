-- Where the chain of seals ends, under a key that the database does not have: a tail that is cut
-- off is missed.
CREATE TABLE event_head (
    one boolean PRIMARY KEY DEFAULT true CONSTRAINT event_head_is_one CHECK (one),
    event_id bigint NOT NULL,
    hash bytea NOT NULL,
    events bigint NOT NULL,
    sealed_at timestamptz NOT NULL,
    mac bytea NOT NULL
);

-- A role that may only add events may not lock their table either; this runs as the owner.
CREATE FUNCTION lock_events() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    LOCK TABLE events IN SHARE MODE;
END $$;

-- The chain of seals in segments, each under a key derived from the secret key of its time. The key
-- of a segment that is over is kept here, encrypted under the current secret key, so that the log
-- can still be proven when the old secret key is gone.
CREATE TABLE event_keys (
    -- The first event that is sealed under it.
    from_event bigint PRIMARY KEY,
    -- The secret key that it was derived from.
    key_id text NOT NULL,
    -- None for the segment that is under way.
    sealed_with text,
    nonce bytea,
    ciphertext bytea,
    CONSTRAINT event_keys_is_whole
    CHECK (num_nonnulls(sealed_with, nonce, ciphertext) IN (0, 3))
);

-- Up to where the log was pruned, authenticated like its head: what is gone without this was not
-- pruned.
CREATE TABLE event_cut (
    one boolean PRIMARY KEY DEFAULT true CONSTRAINT event_cut_is_one CHECK (one),
    -- The last event of the part that is gone as a whole, its seal, and how many events that were.
    event_id bigint NOT NULL,
    hash bytea NOT NULL,
    events bigint NOT NULL,
    -- Later ones that lay in a month that is gone. Their seals are kept, for the chain.
    gone bigint[] NOT NULL,
    before timestamptz NOT NULL,
    cut_at timestamptz NOT NULL,
    mac bytea NOT NULL
);

-- Functions that run as the owner look at our schema first, and at temporary tables last.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);
ALTER FUNCTION ensure_event_partition(timestamptz) SET search_path FROM CURRENT;
ALTER FUNCTION lock_events() SET search_path FROM CURRENT;

-- Nobody reads or writes the log while a part of it goes. Gives up soon, because everybody waits.
CREATE FUNCTION lock_events_for_pruning() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '3s' AS $$
BEGIN
    LOCK TABLE events, event_seals IN ACCESS EXCLUSIVE MODE;
END $$;

-- Drops the months that end at `moment` or before, and the seals up to an event. Only whole months
-- go that lie at least thirty days before the newest event, and only sealed ones.
CREATE FUNCTION prune_events(moment timestamptz, last_event bigint) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    newest timestamptz;
    month name;
    dropped text[] := '{}';
BEGIN
    SELECT max(time) INTO newest FROM events;
    IF newest IS NULL OR moment > newest - interval '30 days' THEN
        RAISE EXCEPTION 'the last thirty days of the audit log are never pruned'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM events
               WHERE time < moment AND id > COALESCE((SELECT max(event_id) FROM event_seals), 0)) THEN
        RAISE EXCEPTION 'events that are not sealed are never pruned'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    FOR month IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_\d{4}_\d{2}$'
          AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') AT TIME ZONE 'UTC' <= moment
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', month);
        dropped := dropped || replace(right(month, 7), '_', '-');
    END LOOP;
    IF EXISTS (SELECT FROM events WHERE id <= last_event) THEN
        RAISE EXCEPTION 'event % and those before it are still in the audit log', last_event
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    ALTER TABLE event_seals DISABLE TRIGGER event_seals_are_append_only;
    DELETE FROM event_seals WHERE event_id <= last_event;
    ALTER TABLE event_seals ENABLE TRIGGER event_seals_are_append_only;
    RETURN dropped;
END $$;

REVOKE EXECUTE ON FUNCTION lock_events(), lock_events_for_pruning(), ensure_event_partition(timestamptz),
    prune_events(timestamptz, bigint) FROM PUBLIC;

-- The audit log: append-only, in one partition a month.

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    time timestamptz NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL CONSTRAINT events_outcome_is_known CHECK (outcome IN ('ok', 'failed')),
    actor text NOT NULL,
    app text,
    person_id text,
    person_email text,
    account_id text,
    run_id uuid,
    reason text,
    changes jsonb,
    error jsonb,
    -- Request and response without secrets, address of the actor and the like.
    detail jsonb,
    PRIMARY KEY (id, time)
) PARTITION BY RANGE (time);
CREATE INDEX events_by_time ON events (time DESC, id DESC);
CREATE INDEX events_by_event ON events (event, time DESC, id DESC);
CREATE INDEX events_by_app ON events (app, time DESC, id DESC);
CREATE INDEX events_by_person ON events (person_id, time DESC, id DESC) WHERE person_id IS NOT NULL;
CREATE INDEX events_by_person_email ON events (lower(person_email), time DESC, id DESC) WHERE person_email IS NOT NULL;
CREATE INDEX events_by_actor ON events (actor, time DESC, id DESC);
CREATE INDEX events_by_run ON events (run_id, time DESC, id DESC) WHERE run_id IS NOT NULL;
CREATE INDEX events_failed ON events (time DESC, id DESC) WHERE outcome = 'failed';

-- Hashes stand beside the log, because a row of the log never changes.
CREATE TABLE event_seals (
    event_id bigint PRIMARY KEY,
    hash bytea NOT NULL
);

CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % on % is refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_events();
CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();
CREATE TRIGGER event_seals_are_append_only BEFORE UPDATE OR DELETE ON event_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_events();
CREATE TRIGGER event_seals_are_not_truncated BEFORE TRUNCATE ON event_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events();

-- Makes the partition of a month when it is missing. Runs as the owner of the tables.
CREATE FUNCTION ensure_event_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first_day date := date_trunc('month', moment AT TIME ZONE 'UTC')::date;
    partition text := 'events_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
            partition,
            first_day::timestamp AT TIME ZONE 'UTC',
            (first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC');
        EXECUTE format(
            'CREATE TRIGGER events_are_not_truncated BEFORE TRUNCATE ON %I
             FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()', partition);
    EXCEPTION WHEN duplicate_table THEN
        -- Somebody else made it a moment ago.
        NULL;
    END;
END $$;

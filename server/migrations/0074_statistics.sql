-- Autovacuum looks once a minute; a first provisioning fills empty tables within seconds, and what is
-- planned for an empty table reads a full one from end to end. Tables that grew by half since their
-- statistics were taken get new ones. Runs as the owner, who alone may do it.
CREATE FUNCTION refresh_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT relname FROM pg_class
        WHERE oid = ANY (ARRAY['people', 'person_addresses', 'memberships', 'links', 'lifecycles', 'failures',
                               'operations', 'settled', 'unsettled']::regclass[])
          AND pg_relation_size(oid) / current_setting('block_size')::int > 1.5 * relpages + 8
    LOOP
        -- Somebody else may be at it; one of them is enough.
        EXECUTE format('ANALYZE (SKIP_LOCKED) %I', one.relname);
    END LOOP;
END $$;

-- What an import staged is joined by the import's number, of which older statistics know nothing: a
-- million people count as one row, are gone through for each of a million others, and the import
-- never ends. Small tables are read at once in any case. Not skipped when autovacuum is at it: it
-- makes way, and what it would find may be of the import before. Runs as the owner, who alone may.
CREATE FUNCTION refresh_staging_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT relname FROM pg_class
        WHERE oid = ANY (ARRAY['people_staging', 'people_seen_staging', 'memberships_staging']::regclass[])
          AND pg_relation_size(oid) > 64 * current_setting('block_size')::int
    LOOP
        EXECUTE format('ANALYZE %I', one.relname);
    END LOOP;
END $$;

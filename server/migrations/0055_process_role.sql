-- What the role of a process may do that does not own the tables (S12.3, S12.7). The owner calls this
-- after every migration, so that tables that came with it are granted too. What was granted before
-- and is not listed here is taken back.
CREATE FUNCTION grant_to_process(process name) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    ours regnamespace := current_schema()::regnamespace;
    engine regnamespace := to_regnamespace('graphile_worker');
    one record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', ours, process);
    FOR one IN
        SELECT format('%s.%I', relnamespace::regnamespace, relname) AS name,
               CASE
                   -- A month of the log is written and read through the whole log only.
                   WHEN relispartition THEN NULL
                   WHEN relname IN ('events', 'event_seals') THEN 'SELECT, INSERT'
                   WHEN relname IN ('event_head', 'event_cut', 'event_keys') THEN 'SELECT, INSERT, UPDATE'
                   WHEN relname = '_sqlx_migrations' THEN 'SELECT'
                   ELSE 'SELECT, INSERT, UPDATE, DELETE'
               END AS privileges
        FROM pg_class
        WHERE relnamespace = ours AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', one.name, process);
        IF one.privileges IS NOT NULL THEN
            EXECUTE format('GRANT %s ON %s TO %I', one.privileges, one.name, process);
        END IF;
    END LOOP;
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %s TO %I', ours, process);
    -- What runs as the owner is for this role and nobody else.
    FOR one IN
        SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = ours AND prosecdef AND pg_has_role(proowner, 'USAGE')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', one.name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', one.name, process);
    END LOOP;

    IF engine IS NULL THEN
        RETURN;
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %I', engine, process);
    FOR one IN
        SELECT format('%s.%I', relnamespace::regnamespace, relname) AS name, relrowsecurity,
               relname = 'migrations' AS is_history,
               EXISTS (SELECT FROM pg_policy
                       WHERE polrelid = c.oid AND polname = 'rollcall_' || process) AS is_admitted
        FROM pg_class c WHERE relnamespace = engine AND relkind IN ('r', 'p')
    LOOP
        IF one.is_history THEN
            EXECUTE format('GRANT SELECT ON %s TO %I', one.name, process);
        ELSE
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %I', one.name, process);
        END IF;
        -- The job engine hides the rows of its tables from everybody but their owner.
        IF one.relrowsecurity AND NOT one.is_admitted THEN
            EXECUTE format('CREATE POLICY %I ON %s FOR ALL TO %I USING (true) WITH CHECK (true)',
                           'rollcall_' || process, one.name, process);
        END IF;
    END LOOP;
    EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %s TO %I', engine, process);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %s TO %I', engine, process);
END $$;

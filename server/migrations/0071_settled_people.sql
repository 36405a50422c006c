-- People of whom an app's last plan came to nothing, for reasons that only change when something
-- about them does: they are not planned again before that. A row is never wrong to delete.
CREATE TABLE settled (
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL,
    -- Hash of all that is the same for everybody: configuration, catalogue, rules, org units, groups.
    world bytea NOT NULL,
    -- Why they were left out; null for accounts that hold what they shall hold.
    rule text,
    detail text,
    PRIMARY KEY (app_id, person_id)
);

-- Marks of what changed about whom, written in the transaction of the change. A plan takes the marks
-- it finds before it reads anybody; one that comes later stays for the next plan. Rows are only
-- added and taken, so nobody waits for anybody.
CREATE TABLE unsettled (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    app_id uuid NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    person_id text NOT NULL
);
CREATE INDEX unsettled_by_app ON unsettled (app_id);

CREATE INDEX people_by_manager ON people (manager_email) WHERE manager_email IS NOT NULL;

-- Whatever is written about a person and an app is a reason to plan them again.
CREATE FUNCTION unsettle_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    SELECT a.id, COALESCE(NEW.person_id, OLD.person_id)
    FROM apps a WHERE a.id = COALESCE(NEW.app_id, OLD.app_id);
    RETURN NULL;
END $$;

-- An account that comes, goes or is another one concerns those who report to its person, too.
CREATE FUNCTION unsettle_person_and_reports() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    SELECT a.id, who.id
    FROM apps a CROSS JOIN (
        SELECT COALESCE(NEW.person_id, OLD.person_id) AS id
        UNION
        SELECT r.id FROM person_addresses d JOIN people r ON r.manager_email = d.address
        WHERE d.person_id = COALESCE(NEW.person_id, OLD.person_id)
    ) who
    WHERE a.id = COALESCE(NEW.app_id, OLD.app_id);
    RETURN NULL;
END $$;

CREATE TRIGGER links_unsettle AFTER INSERT OR DELETE ON links
    FOR EACH ROW EXECUTE FUNCTION unsettle_person_and_reports();
CREATE TRIGGER links_unsettle_when_changed AFTER UPDATE ON links
    FOR EACH ROW WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION unsettle_person_and_reports();
CREATE TRIGGER lifecycles_unsettle AFTER INSERT OR UPDATE OR DELETE ON lifecycles
    FOR EACH ROW EXECUTE FUNCTION unsettle_person();
CREATE TRIGGER failures_unsettle AFTER INSERT OR UPDATE OR DELETE ON failures
    FOR EACH ROW EXECUTE FUNCTION unsettle_person();
CREATE TRIGGER person_decisions_unsettle AFTER INSERT OR UPDATE OR DELETE ON person_decisions
    FOR EACH ROW EXECUTE FUNCTION unsettle_person();

-- People who changed in the directory. Who is new was never settled.
CREATE FUNCTION unsettle_changed_people() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    WITH changed AS (
        SELECT n.id, n.standing <> o.standing AS another_standing
        FROM new_people n JOIN old_people o ON o.id = n.id
        WHERE (n.fingerprint, n.standing, n.purged) IS DISTINCT FROM (o.fingerprint, o.standing, o.purged)
    )
    SELECT a.id, concerned.id
    FROM apps a CROSS JOIN (
        SELECT id FROM changed
        UNION
        -- Of several people with one address, those who are there come before those who are not.
        SELECT r.id FROM changed c
        JOIN person_addresses d ON d.person_id = c.id JOIN people r ON r.manager_email = d.address
        WHERE c.another_standing
    ) concerned
    WHERE a.config_version > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER people_unsettle_changed AFTER UPDATE ON people
    REFERENCING OLD TABLE AS old_people NEW TABLE AS new_people
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_changed_people();

-- An address that comes, goes or is somebody else's concerns those who report to it.
CREATE FUNCTION unsettle_reports_to_addresses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    SELECT a.id, reports.id
    FROM apps a CROSS JOIN (
        SELECT DISTINCT r.id FROM changed_addresses d JOIN people r ON r.manager_email = d.address
    ) reports
    WHERE a.config_version > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER person_addresses_unsettle_added AFTER INSERT ON person_addresses
    REFERENCING NEW TABLE AS changed_addresses
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_reports_to_addresses();
CREATE TRIGGER person_addresses_unsettle_gone AFTER DELETE ON person_addresses
    REFERENCING OLD TABLE AS changed_addresses
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_reports_to_addresses();

-- Members who came or went, of groups through which some app reaches people.
CREATE FUNCTION unsettle_members() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    SELECT a.id, who.id
    FROM apps a CROSS JOIN (
        SELECT DISTINCT m.member_id AS id FROM changed_members m
        WHERE m.group_id IN (SELECT group_id FROM group_reach)
    ) who
    WHERE a.config_version > 0;
    RETURN NULL;
END $$;

CREATE TRIGGER memberships_unsettle_added AFTER INSERT ON memberships
    REFERENCING NEW TABLE AS changed_members
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_members();
CREATE TRIGGER memberships_unsettle_changed AFTER UPDATE ON memberships
    REFERENCING NEW TABLE AS changed_members
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_members();
CREATE TRIGGER memberships_unsettle_gone AFTER DELETE ON memberships
    REFERENCING OLD TABLE AS changed_members
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_members();

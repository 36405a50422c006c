-- Links are written for many people at once, so their marks are, too. Without sequential scans:
-- where nobody has a manager, the statistics of that column say nothing, and each mark read everybody.
DROP TRIGGER links_unsettle ON links;
DROP TRIGGER links_unsettle_when_changed ON links;
DROP FUNCTION unsettle_person_and_reports();

CREATE FUNCTION unsettle_people_and_reports() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    SELECT c.app_id, c.person_id FROM changed_links c JOIN apps a ON a.id = c.app_id
    UNION
    SELECT c.app_id, r.id
    FROM changed_links c JOIN apps a ON a.id = c.app_id
    JOIN person_addresses d ON d.person_id = c.person_id
    JOIN people r ON r.manager_email = d.address;
    RETURN NULL;
END $$;

CREATE FUNCTION unsettle_people_and_reports_when_changed() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO unsettled (app_id, person_id)
    WITH changed_links AS MATERIALIZED (
        SELECT n.app_id, n.person_id
        FROM new_links n JOIN old_links o ON o.app_id = n.app_id AND o.person_id = n.person_id
        WHERE o IS DISTINCT FROM n
    )
    SELECT c.app_id, c.person_id FROM changed_links c
    UNION
    SELECT c.app_id, r.id
    FROM changed_links c
    JOIN person_addresses d ON d.person_id = c.person_id
    JOIN people r ON r.manager_email = d.address;
    RETURN NULL;
END $$;

CREATE TRIGGER links_unsettle_added AFTER INSERT ON links
    REFERENCING NEW TABLE AS changed_links
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_people_and_reports();
CREATE TRIGGER links_unsettle_gone AFTER DELETE ON links
    REFERENCING OLD TABLE AS changed_links
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_people_and_reports();
CREATE TRIGGER links_unsettle_changed AFTER UPDATE ON links
    REFERENCING OLD TABLE AS old_links NEW TABLE AS new_links
    FOR EACH STATEMENT EXECUTE FUNCTION unsettle_people_and_reports_when_changed();

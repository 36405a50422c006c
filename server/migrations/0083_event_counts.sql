-- Usage: events of people counted as they are sealed, so that a month of them is not read for thirty
-- figures. Sealing is done by one process at a time, hence nobody waits for a counter; an older
-- process that still seals counts too, because the database does it. What has no seal yet is counted
-- in the log itself.
SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE TABLE event_counts (
    app text NOT NULL,
    -- Fifteen minutes: days begin on one in every time zone.
    quarter timestamptz NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (app, quarter, event, outcome)
);

CREATE FUNCTION count_sealed_events() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    first bigint;
    last bigint;
BEGIN
    SELECT min(event_id), max(event_id) INTO first, last FROM sealed;
    INSERT INTO event_counts AS c (app, quarter, event, outcome, count)
    SELECT e.app, date_bin('15 minutes', e.time, 'epoch'), e.event, e.outcome, count(*)
    FROM sealed s JOIN events e ON e.id = s.event_id
    WHERE e.id BETWEEN first AND last AND e.app IS NOT NULL AND e.person_id IS NOT NULL
    GROUP BY 1, 2, 3, 4
    ON CONFLICT (app, quarter, event, outcome) DO UPDATE SET count = c.count + excluded.count;
    RETURN NULL;
END $$;

-- What has no seal yet, as the statement that asks sees it. In steps, because only a number that is known
-- when it is planned is looked for in the index.
CREATE FUNCTION unsealed_events() RETURNS SETOF events
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT AS $$
DECLARE
    last bigint := COALESCE((SELECT max(event_id) FROM event_seals), 0);
BEGIN
    RETURN QUERY SELECT * FROM events WHERE id > last;
END $$;

-- From here on nobody seals until the events sealed before are counted.
CREATE TRIGGER event_seals_are_counted AFTER INSERT ON event_seals
    REFERENCING NEW TABLE AS sealed
    FOR EACH STATEMENT EXECUTE FUNCTION count_sealed_events();

INSERT INTO event_counts (app, quarter, event, outcome, count)
SELECT app, date_bin('15 minutes', time, 'epoch'), event, outcome, count(*)
FROM events
WHERE time >= (SELECT max(time) FROM events) - interval '40 days'
  AND id <= (SELECT max(event_id) FROM event_seals)
  AND app IS NOT NULL AND person_id IS NOT NULL
GROUP BY 1, 2, 3, 4;

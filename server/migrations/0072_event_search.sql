-- Words in the log are found through their groups of three letters. Under one name for queries and
-- index, because only the very same expression is answered by it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE FUNCTION event_words(person_email text, account_id text, reason text, error jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN COALESCE(person_email, '') || chr(10) || COALESCE(account_id, '') || chr(10)
    || COALESCE(reason, '') || chr(10) || COALESCE(error ->> 'message', '');

CREATE INDEX events_by_words ON events
    USING gin (event_words(person_email, account_id, reason, error) gin_trgm_ops);

CREATE INDEX people_by_words ON people USING gin (full_name gin_trgm_ops, primary_email gin_trgm_ops);

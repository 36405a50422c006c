-- What Google wrote of somebody last time, as a hash: whoever comes with the same again is not read
-- into. Null where it is not known.
ALTER TABLE people ADD COLUMN written uuid;

ALTER TABLE people_staging ADD COLUMN written uuid;

-- People of a listing under way who came exactly as they did last time.
CREATE UNLOGGED TABLE people_seen_staging (
    import_id bigint NOT NULL,
    written uuid NOT NULL,
    PRIMARY KEY (import_id, written)
);

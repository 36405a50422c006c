-- Filters of the audit log that an administrator keeps under a name.
CREATE TABLE saved_filters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    administrator_id uuid NOT NULL REFERENCES administrators (id) ON DELETE CASCADE,
    name text NOT NULL
        CONSTRAINT saved_filters_name_is_short CHECK (length(name) BETWEEN 1 AND 80),
    -- As in the address of the log.
    query text NOT NULL
        CONSTRAINT saved_filters_query_is_short CHECK (length(query) <= 2000),
    created_at timestamptz NOT NULL,
    CONSTRAINT saved_filters_name_is_unique UNIQUE (administrator_id, name)
);

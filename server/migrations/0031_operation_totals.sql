-- What became of operations, summed when a run ends: /metrics reads a few rows instead of the journal.
CREATE TABLE operation_totals (
    app text NOT NULL,
    kind text NOT NULL,
    outcome text NOT NULL,
    operations bigint NOT NULL,
    PRIMARY KEY (app, kind, outcome)
);

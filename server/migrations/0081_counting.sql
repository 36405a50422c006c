-- Home, an app's page and the list of its accounts count accounts by state, and look for the few who
-- stand apart: each from an index that has no more than that.
CREATE INDEX links_by_state ON links (app_id, state);
CREATE INDEX people_departed ON people (id) WHERE purged OR standing = 'deleted';
-- What a run left for somebody's word, or for the next run. `operations_open` has what is under way.
CREATE INDEX operations_left ON operations (run_id, person_id) WHERE state IN ('held', 'superseded');

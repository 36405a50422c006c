-- The list of people is counted in an index that has no more than what it is narrowed to, and a part
-- of an alias is found like a part of a name: through its groups of three letters.
CREATE INDEX people_counted ON people (standing, org_unit_path) WHERE NOT purged;
CREATE INDEX person_addresses_by_words ON person_addresses USING gin (address gin_trgm_ops);

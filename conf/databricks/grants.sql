-- The privileges that the jobs' service principal needs in Unity Catalog, and no more. Put in your own
-- names, and run this as the owner of the schema. Application IDs stand in backquotes.

-- All jobs: find the tables, and read the image table and the lists.
GRANT USE CATALOG ON CATALOG main TO `SERVICE-PRINCIPAL`;
GRANT USE SCHEMA ON SCHEMA main.images TO `SERVICE-PRINCIPAL`;
GRANT SELECT ON TABLE main.images.raw TO `SERVICE-PRINCIPAL`;
GRANT READ VOLUME ON VOLUME main.images.dedup TO `SERVICE-PRINCIPAL`;

-- Reports and staged files. Put lists that no run may change on a separate volume.
GRANT WRITE VOLUME ON VOLUME main.images.dedup TO `SERVICE-PRINCIPAL`;

-- Jobs to a new table: they make the output and the table of metrics, and own them. If both exist
-- already, leave CREATE TABLE out and grant these instead:
--   GRANT SELECT, MODIFY ON TABLE main.images.unique TO `SERVICE-PRINCIPAL`;
--   GRANT SELECT, MODIFY ON TABLE main.images.dedup_runs TO `SERVICE-PRINCIPAL`;
GRANT CREATE TABLE ON SCHEMA main.images TO `SERVICE-PRINCIPAL`;

-- Only for the in-place job: it deletes from the image table itself.
--   GRANT MODIFY ON TABLE main.images.raw TO `SERVICE-PRINCIPAL`;

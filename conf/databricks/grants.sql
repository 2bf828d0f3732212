-- What the jobs' service principal needs in Unity Catalog, and no more: run it as the owner of the
-- schema, with names of your own. Application IDs are quoted by backquotes.

-- All jobs: find the tables, and read the image table and the lists.
GRANT USE CATALOG ON CATALOG main TO `SERVICE-PRINCIPAL`;
GRANT USE SCHEMA ON SCHEMA main.images TO `SERVICE-PRINCIPAL`;
GRANT SELECT ON TABLE main.images.raw TO `SERVICE-PRINCIPAL`;
GRANT READ VOLUME ON VOLUME main.images.dedup TO `SERVICE-PRINCIPAL`;

-- Reports and staged files. Lists that no run may write to belong on a volume of their own.
GRANT WRITE VOLUME ON VOLUME main.images.dedup TO `SERVICE-PRINCIPAL`;

-- A new table: it makes the output and the table of metrics, and owns them. Where both are there
-- already, leave CREATE TABLE out and grant these two on each:
--   GRANT SELECT, MODIFY ON TABLE main.images.unique TO `SERVICE-PRINCIPAL`;
--   GRANT SELECT, MODIFY ON TABLE main.images.dedup_runs TO `SERVICE-PRINCIPAL`;
GRANT CREATE TABLE ON SCHEMA main.images TO `SERVICE-PRINCIPAL`;

-- In place alone: it deletes from the image table itself.
--   GRANT MODIFY ON TABLE main.images.raw TO `SERVICE-PRINCIPAL`;

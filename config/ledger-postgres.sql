-- The ledger of stanch in PostgreSQL 13 or newer. Apply it as the owner-to-be of the tables, who is nobody's everyday
-- role, in a database of its own with encoding UTF8:
--     stanch audit migration | psql --single-transaction --set ON_ERROR_STOP=1 "$DATABASE_URL"
-- and let people in: GRANT stanch_writer TO alice; GRANT stanch_reader TO auditor;
-- It can be applied again without harm.

CREATE SCHEMA IF NOT EXISTS stanch;

CREATE TABLE IF NOT EXISTS stanch.format (
    version integer NOT NULL
);
INSERT INTO stanch.format (version) SELECT 1 WHERE NOT EXISTS (SELECT FROM stanch.format);

-- `payload` is text, not JSON: what is hashed is what lies on disk, byte for byte. `intent` repeats the number in an
-- outcome's payload, so that open intents are found without reading payloads; it is checked against them.
CREATE TABLE IF NOT EXISTS stanch.entries (
    seq       bigint PRIMARY KEY CHECK (seq > 0),
    at        text NOT NULL,
    kind      text NOT NULL,
    incident  text,
    actor     text NOT NULL,
    payload   text NOT NULL,
    intent    bigint,
    prev_hash text NOT NULL UNIQUE CHECK (prev_hash ~ '^[0-9a-f]{64}$'),
    hash      text NOT NULL UNIQUE CHECK (hash ~ '^[0-9a-f]{64}$'),
    written   timestamptz NOT NULL DEFAULT clock_timestamp(),
    login     text NOT NULL DEFAULT session_user
);
CREATE INDEX IF NOT EXISTS entries_by_incident ON stanch.entries (incident, seq);
CREATE INDEX IF NOT EXISTS entries_by_kind ON stanch.entries (kind, seq);
CREATE INDEX IF NOT EXISTS entries_by_intent ON stanch.entries (intent) WHERE intent IS NOT NULL;

-- When and by whom a row came is the server's word, whatever the client says.
CREATE OR REPLACE FUNCTION stanch.follow() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last record;
BEGIN
    SELECT seq, hash INTO last FROM stanch.entries ORDER BY seq DESC LIMIT 1;
    IF NEW.seq IS DISTINCT FROM coalesce(last.seq, 0) + 1
        OR NEW.prev_hash IS DISTINCT FROM coalesce(last.hash, repeat('0', 64)) THEN
        RAISE EXCEPTION 'entries follow each other without gaps' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.written := clock_timestamp();
    NEW.login := session_user;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION stanch.refuse() RETURNS trigger LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'entries are never changed or removed' USING ERRCODE = 'insufficient_privilege';
END $$;

DROP TRIGGER IF EXISTS entries_follow ON stanch.entries;
CREATE TRIGGER entries_follow BEFORE INSERT ON stanch.entries FOR EACH ROW EXECUTE FUNCTION stanch.follow();
DROP TRIGGER IF EXISTS entries_stay ON stanch.entries;
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON stanch.entries FOR EACH ROW EXECUTE FUNCTION stanch.refuse();
DROP TRIGGER IF EXISTS entries_remain ON stanch.entries;
CREATE TRIGGER entries_remain BEFORE TRUNCATE ON stanch.entries FOR EACH STATEMENT EXECUTE FUNCTION stanch.refuse();
-- Always: a session that replays a replication stream is no way around them either.
ALTER TABLE stanch.entries ENABLE ALWAYS TRIGGER entries_follow;
ALTER TABLE stanch.entries ENABLE ALWAYS TRIGGER entries_stay;
ALTER TABLE stanch.entries ENABLE ALWAYS TRIGGER entries_remain;

-- Who writes may add and read, and nothing else; who audits may read.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stanch_writer') THEN
        CREATE ROLE stanch_writer NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'stanch_reader') THEN
        CREATE ROLE stanch_reader NOLOGIN;
    END IF;
END $$;
REVOKE ALL ON SCHEMA stanch FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA stanch FROM PUBLIC, stanch_writer, stanch_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA stanch FROM PUBLIC;
GRANT USAGE ON SCHEMA stanch TO stanch_writer, stanch_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA stanch TO stanch_writer, stanch_reader;
GRANT INSERT (seq, at, kind, incident, actor, payload, intent, prev_hash, hash) ON stanch.entries TO stanch_writer;

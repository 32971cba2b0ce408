"""The tables and functions of the event store in PostgreSQL.

Positions come from `append`, which takes one advisory lock first. A statement inside a procedure sees what was
committed before it began, so after the lock max(position) is the true head, and position order is commit order. A
sequence hands out numbers whose rows become visible out of order, and readers pass them.

The lock is not held while the disk writes: `append` commits in memory, lets the next one in, and waits for the disk in
a second transaction, which all who wait share. So there are events that can be seen before they are durable. Readers
wait for the disk too, and pass on nothing that a crash could take back: `head` does that for them
(docs/decisions/0023-appends-share-the-disk.md).
"""

FORMAT = 2
SCHEMA = "modelog_events"
CHANNEL = "modelog_events"
# Any number will do, as long as nobody else in this database locks it: "modelog" in ASCII.
LOCK = 0x6D6F64656C6F67
COLUMNS = (
    "position, event_id, stream, version, type, schema, recorded_at, "
    "tenant, actor, correlation, causation, trace, payload"
)
APPENDED, REPEATED, WRONG_VERSION, OVERLAP = range(4)

# Texts are compared by their bytes, as they are everywhere else. recorded_at needs no index: it never goes back, so
# position_at halves the positions.
TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE {SCHEMA}.meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE {SCHEMA}.events (
  position bigint PRIMARY KEY,
  event_id text COLLATE "C" NOT NULL UNIQUE,
  stream text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  type text NOT NULL,
  schema bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  tenant text NOT NULL,
  actor text NOT NULL,
  correlation text NOT NULL,
  causation text NOT NULL,
  trace text NOT NULL,
  payload bytea NOT NULL,
  category text COLLATE "C" NOT NULL,
  UNIQUE (stream, version)
);
CREATE INDEX events_by_category ON {SCHEMA}.events (category, position);
INSERT INTO {SCHEMA}.meta VALUES ('format', '{FORMAT}');
"""

# Most of an event travels as JSON, which costs a client a fifth of what arrays of its driver do.
_ROW = (
    "owner int, nth int, type text, schema bigint, tenant text, actor text, "
    "correlation text, causation text, trace text"
)
_OF_ROW = "e.type, e.schema, recorded, e.tenant, e.actor, e.correlation, e.causation, e.trace"

# Appends to streams[i] the next counts[i] events; expected[i] is NULL for any version. The usual case - every stream at
# its expected version, no event there yet - is one insert, and is answered by the head and the versions before it;
# `careful` says that it cannot be, because a stream or an id comes twice. Otherwise each append has its outcome, the
# position of its last event and its stream's version; for an overlap the first number is how many of the ids are there.
APPEND = f"""
CREATE PROCEDURE {SCHEMA}.append(
  careful boolean, at timestamptz, streams text[], expected bigint[], counts int[], ids text[], payloads bytea[],
  events json, INOUT before bigint, INOUT versions bigint[], INOUT outcomes int[], INOUT positions bigint[]
)
LANGUAGE plpgsql AS $$
DECLARE
  head bigint;
  recorded timestamptz;
  usual boolean;
  rows json[];
  first int := 1;
  last int;
  there int;
  elsewhere int;
BEGIN
  PERFORM pg_advisory_xact_lock({LOCK});
  SELECT e.position, e.recorded_at INTO head, recorded FROM {SCHEMA}.events e ORDER BY e.position DESC LIMIT 1;
  before := coalesce(head, 0);
  head := before;
  recorded := greatest(at, recorded);
  versions := ARRAY(SELECT coalesce((SELECT max(e.version) FROM {SCHEMA}.events e WHERE e.stream = s.stream), 0)
                      FROM unnest(streams) AS s(stream));
  usual := NOT careful
    AND NOT EXISTS (SELECT FROM unnest(expected, versions) AS v(wanted, version) WHERE v.wanted <> v.version)
    AND NOT EXISTS (SELECT FROM {SCHEMA}.events e WHERE e.event_id = ANY (ids));

  IF usual THEN
    INSERT INTO {SCHEMA}.events ({COLUMNS}, category)
      SELECT head + e.n, e.id, streams[e.owner], versions[e.owner] + e.nth, {_OF_ROW}, e.payload,
             split_part(streams[e.owner], '-', 1)
        FROM ROWS FROM (json_to_recordset(events) AS ({_ROW}), unnest(ids), unnest(payloads)) WITH ORDINALITY
             AS e(owner, nth, type, schema, tenant, actor, correlation, causation, trace, id, payload, n);
    head := head + cardinality(ids);
  ELSE
    rows := ARRAY(SELECT json_array_elements(events));
    FOR i IN 1 .. cardinality(streams) LOOP
      last := first + counts[i] - 1;
      SELECT count(*), count(*) FILTER (WHERE e.stream <> streams[i]) INTO there, elsewhere
        FROM {SCHEMA}.events e WHERE e.event_id = ANY (ids[first:last]);
      versions[i] := (SELECT coalesce(max(e.version), 0) FROM {SCHEMA}.events e WHERE e.stream = streams[i]);
      IF there = counts[i] AND elsewhere = 0 THEN
        outcomes[i] := {REPEATED};
        positions[i] := (SELECT e.position FROM {SCHEMA}.events e WHERE e.event_id = ids[last]);
        versions[i] := (SELECT e.version FROM {SCHEMA}.events e WHERE e.event_id = ids[last]);
      ELSIF there > 0 THEN
        outcomes[i] := {OVERLAP};
        positions[i] := there;
      ELSIF expected[i] <> versions[i] THEN
        outcomes[i] := {WRONG_VERSION};
        positions[i] := head;
      ELSE
        outcomes[i] := {APPENDED};
        INSERT INTO {SCHEMA}.events ({COLUMNS}, category)
          SELECT head + n - first + 1, ids[n], streams[i], versions[i] + n - first + 1, {_OF_ROW}, payloads[n],
                 split_part(streams[i], '-', 1)
            FROM generate_series(first, last) AS n, json_to_record(rows[n]) AS e({_ROW});
        head := head + counts[i];
        positions[i] := head;
        versions[i] := versions[i] + counts[i];
      END IF;
      first := last + 1;
    END LOOP;
  END IF;

  SET LOCAL synchronous_commit = off;
  COMMIT;
  -- What waits for the disk, and thereby for everything before it, also for what a repeated append finds.
  PERFORM pg_logical_emit_message(true, '{CHANNEL}', '');
  COMMIT;
  IF head > before THEN
    PERFORM pg_notify('{CHANNEL}', head::text);
  END IF;
END $$;
"""

# The last position, once it is durable; what is up to `known` is so already. Where standbys confirm commits, what is on
# this server's disk is not enough.
HEAD = f"""
CREATE FUNCTION {SCHEMA}.head(known bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  last bigint;
BEGIN
  SELECT coalesce(max(e.position), 0) INTO last FROM {SCHEMA}.events e;
  IF last > known AND (pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()
                       OR current_setting('synchronous_standby_names') <> '') THEN
    PERFORM pg_logical_emit_message(true, '{CHANNEL}', '');
  END IF;
  RETURN last;
END $$;
"""

POSITION_AT = f"""
CREATE FUNCTION {SCHEMA}.position_at(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
BEGIN
  SELECT coalesce(max(e.position), 0) INTO high FROM {SCHEMA}.events e;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    IF (SELECT e.recorded_at <= moment FROM {SCHEMA}.events e WHERE e.position = middle) THEN
      low := middle;
    ELSE
      high := middle - 1;
    END IF;
  END LOOP;
  RETURN low;
END $$;
"""
CREATE = TABLES + APPEND + HEAD + POSITION_AT

# Of a store of format 1, whose append held the lock until the disk had written, and left the category to the table.
FROM_FORMAT_1 = f"""
DROP FUNCTION {SCHEMA}.append;
ALTER TABLE {SCHEMA}.events ALTER COLUMN category DROP EXPRESSION, ALTER COLUMN category SET NOT NULL;
UPDATE {SCHEMA}.meta SET value = '{FORMAT}' WHERE key = 'format';
{APPEND}{HEAD}"""

-- The event store's tables and functions as format 1 had them: what a newer release must be able to open.

CREATE SCHEMA IF NOT EXISTS modelog_events;
CREATE TABLE modelog_events.meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE modelog_events.events (
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
  category text COLLATE "C" GENERATED ALWAYS AS (split_part(stream, '-', 1)) STORED,
  UNIQUE (stream, version)
);
CREATE INDEX events_by_category ON modelog_events.events (category, position);
INSERT INTO modelog_events.meta VALUES ('format', '1');

CREATE FUNCTION modelog_events.append(
  careful boolean, at timestamptz, streams text[], expected bigint[], counts int[],
  owners int[], nths int[], ids text[], types text[], schemas bigint[], tenants text[], actors text[],
  correlations text[], causations text[], traces text[], payloads bytea[]
) RETURNS TABLE (outcome int, last_position bigint, stream_version bigint)
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  before bigint;
  head bigint;
  recorded timestamptz;
  versions bigint[];
  usual boolean := false;
  first int := 1;
  last int;
  there int;
  elsewhere int;
BEGIN
  PERFORM pg_advisory_xact_lock(30803249450479463);
  SELECT e.position, e.recorded_at INTO head, recorded FROM modelog_events.events e ORDER BY e.position DESC LIMIT 1;
  head := coalesce(head, 0);
  before := head;
  recorded := greatest(at, recorded);

  IF NOT careful THEN
    SELECT array_agg(v.version ORDER BY v.n), bool_and(v.version = coalesce(v.expected, v.version))
      INTO versions, usual
      FROM (SELECT s.n, s.expected,
                   coalesce((SELECT max(e.version) FROM modelog_events.events e WHERE e.stream = s.stream), 0) AS version
              FROM unnest(streams, expected) WITH ORDINALITY AS s(stream, expected, n)) v;
    usual := usual AND NOT EXISTS (SELECT FROM modelog_events.events e WHERE e.event_id = ANY (ids));
  END IF;

  IF usual THEN
    INSERT INTO modelog_events.events (position, event_id, stream, version, type, schema, recorded_at, tenant, actor, correlation, causation, trace, payload)
      SELECT head + e.n, e.id, streams[e.owner], versions[e.owner] + e.nth, e.type, e.schema, recorded,
             e.tenant, e.actor, e.correlation, e.causation, e.trace, e.payload
        FROM unnest(owners, nths, ids, types, schemas, tenants, actors, correlations, causations, traces, payloads)
             WITH ORDINALITY
             AS e(owner, nth, id, type, schema, tenant, actor, correlation, causation, trace, payload, n);
    RETURN QUERY
      SELECT 0, head + max(e.n), versions[e.owner] + max(e.nth)
        FROM unnest(owners, nths) WITH ORDINALITY AS e(owner, nth, n) GROUP BY e.owner ORDER BY e.owner;
    head := head + cardinality(ids);
  ELSE
    FOR i IN 1 .. cardinality(streams) LOOP
      last := first + counts[i] - 1;
      SELECT count(*), count(*) FILTER (WHERE e.stream <> streams[i]) INTO there, elsewhere
        FROM modelog_events.events e WHERE e.event_id = ANY (ids[first:last]);
      SELECT coalesce(max(e.version), 0) INTO stream_version FROM modelog_events.events e WHERE e.stream = streams[i];
      IF there = counts[i] AND elsewhere = 0 THEN
        outcome := 1;
        SELECT e.position, e.version INTO last_position, stream_version
          FROM modelog_events.events e WHERE e.event_id = ids[last];
      ELSIF there > 0 THEN
        outcome := 3;
        last_position := there;
      ELSIF expected[i] <> stream_version THEN
        outcome := 2;
        last_position := head;
      ELSE
        outcome := 0;
        INSERT INTO modelog_events.events (position, event_id, stream, version, type, schema, recorded_at, tenant, actor, correlation, causation, trace, payload)
          SELECT head + n - first + 1, ids[n], streams[i], stream_version + n - first + 1, types[n], schemas[n],
                 recorded, tenants[n], actors[n], correlations[n], causations[n], traces[n], payloads[n]
            FROM generate_series(first, last) AS n;
        head := head + counts[i];
        last_position := head;
        stream_version := stream_version + counts[i];
      END IF;
      first := last + 1;
      RETURN NEXT;
    END LOOP;
  END IF;

  IF head > before THEN
    PERFORM pg_notify('modelog_events', head::text);
  END IF;
END $$;

CREATE FUNCTION modelog_events.position_at(moment timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
BEGIN
  SELECT coalesce(max(e.position), 0) INTO high FROM modelog_events.events e;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    IF (SELECT e.recorded_at <= moment FROM modelog_events.events e WHERE e.position = middle) THEN
      low := middle;
    ELSE
      high := middle - 1;
    END IF;
  END LOOP;
  RETURN low;
END $$;

-- triagebot's tables, for SQLite and PostgreSQL alike. Instants are
-- microseconds since the epoch, 0 for none; columns named *_json hold JSON.
-- {{serial}} and {{blob}} are the two words in which the dialects differ.

CREATE TABLE locks (
  name     TEXT PRIMARY KEY,
  taken_at BIGINT NOT NULL
);
INSERT INTO locks (name, taken_at) VALUES ('correlation', 0), ('maintenance', 0), ('ready', 0);

CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- Who is alive, of the processes on this database.
CREATE TABLE replicas (
  id      TEXT PRIMARY KEY,
  seen_at BIGINT NOT NULL
);

CREATE TABLE notifications (
  id          {{serial}},
  received_at BIGINT NOT NULL,
  state       TEXT NOT NULL DEFAULT 'pending', -- pending, done, failed
  error       TEXT NOT NULL DEFAULT '',
  folded      BIGINT NOT NULL DEFAULT 0,       -- alerts of it that are folded, while it is pending
  body        {{blob}} NOT NULL                -- as it came; emptied once folded
);
CREATE INDEX notifications_pending ON notifications (id) WHERE state = 'pending';
CREATE INDEX notifications_received ON notifications (received_at);

CREATE TABLE incidents (
  id               {{serial}},
  key              TEXT NOT NULL,
  alertname        TEXT NOT NULL,
  group_labels_json TEXT NOT NULL,
  state            TEXT NOT NULL, -- firing, resolved, closed
  severity         TEXT NOT NULL,
  labels_json      TEXT NOT NULL,
  annotations_json TEXT NOT NULL,
  playbook         TEXT NOT NULL,
  generator_url    TEXT NOT NULL,
  external_url     TEXT NOT NULL,
  firing           BIGINT NOT NULL,
  alerts           BIGINT NOT NULL,
  truncated        BIGINT NOT NULL,
  reopened         BIGINT NOT NULL DEFAULT 0,
  acked_by         TEXT NOT NULL DEFAULT '', -- as people are shown it
  acked_by_key     TEXT NOT NULL DEFAULT '', -- see triage.Actor
  acked_at         BIGINT NOT NULL DEFAULT 0,
  silenced_until   BIGINT NOT NULL DEFAULT 0,
  requested_by     TEXT NOT NULL DEFAULT '',
  resolution       TEXT NOT NULL DEFAULT '',
  started_at       BIGINT NOT NULL,
  opened_at        BIGINT NOT NULL,
  updated_at       BIGINT NOT NULL,
  heard_at         BIGINT NOT NULL, -- when Alertmanager last spoke of it
  resolved_at      BIGINT NOT NULL DEFAULT 0,
  closed_at        BIGINT NOT NULL DEFAULT 0,
  version          BIGINT NOT NULL DEFAULT 1
);
-- The rule that the same notification from anywhere opens one incident.
CREATE UNIQUE INDEX incidents_open ON incidents (key) WHERE state <> 'closed';
CREATE INDEX incidents_state ON incidents (state, updated_at);
CREATE INDEX incidents_closed ON incidents (closed_at) WHERE state = 'closed';

CREATE TABLE alerts (
  incident_id      BIGINT NOT NULL REFERENCES incidents (id),
  fingerprint      TEXT NOT NULL,
  starts_at        BIGINT NOT NULL,
  status           TEXT NOT NULL, -- firing, resolved
  ends_at          BIGINT NOT NULL, -- as Alertmanager reported it; 0 for an end that is presumed
  labels_json      TEXT NOT NULL,
  annotations_json TEXT NOT NULL,
  generator_url    TEXT NOT NULL,
  seen             BIGINT NOT NULL DEFAULT 1, -- times it was in a notification
  changed_at       BIGINT NOT NULL,
  PRIMARY KEY (incident_id, fingerprint, starts_at)
);

CREATE TABLE runs (
  id            {{serial}},
  incident_id   BIGINT NOT NULL REFERENCES incidents (id),
  playbook      TEXT NOT NULL,
  playbook_hash TEXT NOT NULL DEFAULT '',
  trigger_kind  TEXT NOT NULL,
  state         TEXT NOT NULL,
  at            BIGINT NOT NULL,
  alert_json    TEXT NOT NULL,
  steps_json    TEXT NOT NULL DEFAULT '',
  created_at    BIGINT NOT NULL,
  started_at    BIGINT NOT NULL DEFAULT 0,
  finished_at   BIGINT NOT NULL DEFAULT 0,
  error         TEXT NOT NULL DEFAULT '',
  conclusion_json TEXT NOT NULL DEFAULT ''
);
CREATE INDEX runs_incident ON runs (incident_id);
CREATE INDEX runs_unfinished ON runs (state) WHERE state <> 'finished';

-- The fence: a step's finding is committed once, whichever attempt comes first.
CREATE TABLE findings (
  run_id       BIGINT NOT NULL REFERENCES runs (id),
  step_id      TEXT NOT NULL,
  incident_id  BIGINT NOT NULL,
  verdict      TEXT NOT NULL,
  finding_json TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (run_id, step_id)
);
CREATE INDEX findings_incident ON findings (incident_id);

CREATE TABLE evidence (
  incident_id BIGINT NOT NULL REFERENCES incidents (id),
  seq         BIGINT NOT NULL,
  entry_json  TEXT NOT NULL,
  PRIMARY KEY (incident_id, seq)
);

-- Who publishes an incident's bundle now, and the head of a sealed one.
CREATE TABLE bundles (
  incident_id BIGINT PRIMARY KEY REFERENCES incidents (id),
  publisher   TEXT NOT NULL,             -- the replica
  ticket      BIGINT NOT NULL,           -- counts the publishes
  lease_until BIGINT NOT NULL,
  head        TEXT NOT NULL DEFAULT '',
  summary_json TEXT NOT NULL DEFAULT '' -- its line in the index of all bundles; '' before it was published
);
CREATE INDEX bundles_leased ON bundles (publisher) WHERE lease_until <> 0;

-- Who writes the index of all bundles now, and how many changes it has. One row.
CREATE TABLE bundle_index (
  publisher   TEXT NOT NULL,
  ticket      BIGINT NOT NULL,
  lease_until BIGINT NOT NULL,
  changed     BIGINT NOT NULL, -- changes of bundles
  written     BIGINT NOT NULL  -- of which the index shows so many
);
INSERT INTO bundle_index (publisher, ticket, lease_until, changed, written) VALUES ('', 0, 0, 0, 0);

CREATE TABLE timeline (
  incident_id BIGINT NOT NULL REFERENCES incidents (id),
  seq         BIGINT NOT NULL,
  at          BIGINT NOT NULL,
  kind        TEXT NOT NULL,
  actor       TEXT NOT NULL,
  text        TEXT NOT NULL,
  PRIMARY KEY (incident_id, seq)
);

-- Maintenance windows.
CREATE TABLE windows (
  id             {{serial}},
  service        TEXT NOT NULL,
  state          TEXT NOT NULL, -- see triage.WindowState
  reason         TEXT NOT NULL,
  wanted         BIGINT NOT NULL, -- its length, in microseconds
  by_json        TEXT NOT NULL,
  confirmed_json TEXT NOT NULL DEFAULT '',
  ender_json     TEXT NOT NULL DEFAULT '',
  incident_id    BIGINT NOT NULL DEFAULT 0, -- 0 for none, and for one that is forgotten
  created_at     BIGINT NOT NULL,
  changed_at     BIGINT NOT NULL, -- when it came into its state
  since          BIGINT NOT NULL DEFAULT 0,
  until          BIGINT NOT NULL DEFAULT 0,
  ended          BIGINT NOT NULL DEFAULT 0,
  override       BIGINT NOT NULL DEFAULT 0, -- 1: disable it though the service is not ready
  attempt        BIGINT NOT NULL DEFAULT 0, -- calls claimed in this state
  verify_until   BIGINT NOT NULL DEFAULT 0, -- while the metric is to follow a call
  reminded_at    BIGINT NOT NULL DEFAULT 0,
  shouted_at     BIGINT NOT NULL DEFAULT 0,
  version        BIGINT NOT NULL DEFAULT 1
);
-- The rule that a service has one window at a time.
CREATE UNIQUE INDEX windows_open ON windows (service) WHERE state NOT IN ('cancelled', 'off', 'failed');
CREATE INDEX windows_service ON windows (service, id);

CREATE TABLE window_log (
  window_id BIGINT NOT NULL REFERENCES windows (id),
  seq       BIGINT NOT NULL,
  at        BIGINT NOT NULL,
  kind      TEXT NOT NULL,
  actor     TEXT NOT NULL,
  text      TEXT NOT NULL,
  PRIMARY KEY (window_id, seq)
);

-- The outbox: one row per message, whose body is what it should say now.
CREATE TABLE deliveries (
  id             {{serial}},
  key            TEXT NOT NULL,
  nonce          TEXT NOT NULL,
  notifier       TEXT NOT NULL,
  channel        TEXT NOT NULL,
  incident_id    BIGINT NOT NULL, -- 0 for what is about none
  window_id      BIGINT NOT NULL DEFAULT 0, -- likewise
  kind           TEXT NOT NULL,
  parent_id      BIGINT NOT NULL DEFAULT 0, -- delivery it hangs under; 0 for a parent
  priority       BIGINT NOT NULL,
  body_json      TEXT NOT NULL,
  version        BIGINT NOT NULL DEFAULT 1,
  sent_version   BIGINT NOT NULL DEFAULT 0,
  state          TEXT NOT NULL DEFAULT 'pending', -- pending, sending, sent, parked
  attempts       BIGINT NOT NULL DEFAULT 0,
  not_before     BIGINT NOT NULL,
  created_at     BIGINT NOT NULL,
  sent_at        BIGINT NOT NULL DEFAULT 0,
  remote_channel TEXT NOT NULL DEFAULT '',
  remote_id      TEXT NOT NULL DEFAULT '',
  progress       TEXT NOT NULL DEFAULT '',
  last_error     TEXT NOT NULL DEFAULT '',
  tried_at       BIGINT NOT NULL DEFAULT 0, -- when it was last begun to be sent
  look_at        BIGINT NOT NULL DEFAULT 0, -- while sending: when to look for it
  looks_absent   BIGINT NOT NULL DEFAULT 0, -- looks that did not find it
  looks_failed   BIGINT NOT NULL DEFAULT 0, -- looks that were not answered
  may_repeat     BIGINT NOT NULL DEFAULT 0, -- when a message was sent that it may repeat
  repeats        BIGINT NOT NULL DEFAULT 0, -- times it was sent that may have been too many
  unread         BIGINT NOT NULL DEFAULT 0, -- times its file could not be read
  UNIQUE (notifier, key)
);
CREATE INDEX deliveries_owed ON deliveries (notifier, channel, priority, id) WHERE state IN ('pending', 'sending');
CREATE INDEX deliveries_parked ON deliveries (id) WHERE state = 'parked';
CREATE INDEX deliveries_incident ON deliveries (incident_id);
CREATE INDEX deliveries_window ON deliveries (window_id) WHERE window_id <> 0;
CREATE INDEX deliveries_children ON deliveries (parent_id) WHERE parent_id <> 0;
CREATE INDEX deliveries_parents ON deliveries (remote_channel, remote_id) WHERE kind = 'parent';

-- One lane per channel of a notifier: whoever holds its lease delivers in it,
-- one message at a time, in every replica's name.
CREATE TABLE lanes (
  notifier    TEXT NOT NULL,
  channel     TEXT NOT NULL,
  owner       TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  next_at     BIGINT NOT NULL DEFAULT 0, -- pacing: earliest next message
  PRIMARY KEY (notifier, channel)
);

-- Rate limits of a whole method, shared by all lanes and replicas.
CREATE TABLE rate_limits (
  notifier     TEXT NOT NULL,
  scope        TEXT NOT NULL,
  paused_until BIGINT NOT NULL,
  PRIMARY KEY (notifier, scope)
);

-- What people asked for that changes something or was refused: the audit log,
-- and the fence by which a request that comes twice happens once.
CREATE TABLE acts (
  id          {{serial}},
  request     TEXT NOT NULL UNIQUE, -- the way in and the request's id
  at          BIGINT NOT NULL,
  actor_json  TEXT NOT NULL,
  text        TEXT NOT NULL,
  incident_id BIGINT NOT NULL DEFAULT 0, -- 0 for none
  outcome     TEXT NOT NULL DEFAULT '', -- '' while it is under way
  reply_json  TEXT NOT NULL DEFAULT ''
);
CREATE INDEX acts_at ON acts (at);
CREATE INDEX acts_incident ON acts (incident_id) WHERE incident_id <> 0;

-- Silences that people asked for, from the wish to the end.
CREATE TABLE silences (
  id           {{serial}},
  incident_id  BIGINT NOT NULL REFERENCES incidents (id),
  state        TEXT NOT NULL, -- wanted, active, ended, failed
  alertmanager TEXT NOT NULL, -- its name in the configuration
  remote_id    TEXT NOT NULL DEFAULT '',
  matchers_json TEXT NOT NULL,
  author       TEXT NOT NULL,
  comment      TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  ends_at      BIGINT NOT NULL,
  last_error   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX silences_incident ON silences (incident_id);

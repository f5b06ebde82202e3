/**
 * The tables, as every dialect has them: text, integer and bigint alone. Times are UTC milliseconds in columns that end
 * in `_ms`; documents are JSON text; what is sealed was encrypted before it came here.
 */
export type Tables = {
  settings: { name: string; value: string };
  certificates: { serial: string; part: string; name: string; issued_ms: number; not_after_ms: number; revoked_ms: number | null };
  /** The machines that work for this server; `local` is its own. Ports are as configured here and announced to the host. */
  hosts: {
    id: string;
    name: string;
    address: string;
    control_port: number;
    deployer_port: number;
    data_from: number;
    data_to: number;
    /** 1: data channels come to the control port in place of the range. */
    single_port: number;
    /** Who opens the order link: `server` (to the control port) or `host` (to the server's agent control port). */
    dials: string;
    /** `expected` until its transport has enrolled. */
    state: string;
    added_ms: number;
    enrolled_ms: number | null;
    /** When its deployer enrolled; null while it has none. */
    deployer_ms: number | null;
    /** `linux` or `windows`; null: nobody has said, and it has not been heard of. */
    platform: string | null;
    /** When a first contact over Windows' own ports was begun last; null: never. */
    pushed_ms: number | null;
    /** How many sets are copied from it at once; null: the usual number. */
    copies_at_once: number | null;
    /** JSON: bandwidth limits of all that its movers send and receive. */
    limits: string;
  };
  /** What is to be protected: `options` is a document of the contract; the schedule's next run is the first after `counts_from_ms`. */
  protection_groups: { id: string; name: string; options: string; is_enabled: number; counts_from_ms: number; added_ms: number };
  /** A set is in one group. `look` is the last one that succeeded, `says` why one after it did not. */
  group_sets: { set_id: string; group_id: string; seed_host: string; seed_port: number; credential: string | null; look: string; looked_ms: number; says: string | null };
  group_computers: {
    group_id: string;
    /** As members name it. */
    name: string;
    /** Where it is connected to. */
    address: string;
    /** Of its own; null: the group's. */
    credential: string | null;
    awaits_kit: number;
    in_scope: number;
    /** The host it was found to be. */
    host: string | null;
    look: string | null;
    looked_ms: number | null;
    says: string | null;
  };
  /** `part` is the service that the token is for; null: transport or deployer. `key_hash` is of the public key that it was used for. */
  enrolments: { token_hash: string; host: string; part: string | null; expires_ms: number; used_ms: number | null; key_hash: string | null };
  tokens: { id: string; name: string; role: string; hash: string; created_ms: number };
  /** `about` is what may be shown; the record itself is sealed. */
  credentials: { id: string; name: string; kind: string; about: string; sealed_record: string; added_ms: number };
  host_keys: {
    host: string;
    port: number;
    trusted_type: string | null;
    trusted_fingerprint: string | null;
    trusted_by: string | null;
    trusted_ms: number | null;
    waiting_type: string | null;
    waiting_fingerprint: string | null;
    waiting_ms: number | null;
  };
  repositories: {
    id: string;
    name: string;
    /** The host it is on. */
    host: string;
    location: string;
    /** What opens the location, where its kind asks for a secret. */
    sealed_secret: string | null;
    sealed_passphrase: string;
    sealed_key: string;
    passphrase_file: string | null;
    is_default: number;
    added_ms: number;
    /** JSON: bandwidth limits of its data channels. */
    limits: string;
    /** JSON: the hosts that other hosts' data goes through. */
    gateways: string;
    /** 1: of somebody else; it is only read. */
    is_attached: number;
    /** JSON: for how many days everything is kept, as the repository itself says; null: it can be deleted. */
    immutable: string | null;
    /** How many sets are copied into it at once, and over how many connections each; null: the usual number. */
    copies_at_once: number | null;
    connections: number | null;
  };
  /** Sets that are copied into another repository. `keep` and `schedule` are documents of the contract; the next run is the first after `counts_from_ms`. */
  copies: { id: string; set_id: string; repository: string; keep: string; schedule: string; counts_from_ms: number; added_ms: number };
  /** What is protected by itself: `document` is one of the contract; it runs at `next_ms`, the first moment of its schedule after `counts_from_ms`. */
  policies: { id: string; name: string; document: string; is_enabled: number; counts_from_ms: number; next_ms: number | null; /** The policy it runs after. */ follows: string | null; added_ms: number };
  /** What the document of each policy names: groups and sets, by their ids. */
  policy_objects: { object: string; policy: string };
  /** `missed` are moments that this run makes up for; `skipped` those that passed while it was open. `closes_ms` null: it has no window. */
  policy_runs: { id: string; policy: string; state: string; why: string; due_ms: number; missed: number; skipped: number; opens_ms: number; closes_ms: number | null; full_read: number; stopping: number; added_ms: number; ended_ms: number | null; says: string | null };
  policy_parts: { run: string; set_id: string; set_name: string; state: string; attempt: number; not_before_ms: number; session: string | null; says: string | null };
  /** Sets that a policy has no more: its retention goes on for their points. `policy`: its id; of rows from before there was one, its name. */
  orphans: { set_id: string; policy: string; policy_name: string; retention: string; time_zone: string; since_ms: number };
  /** `counts_from_ms` counts for this schedule, which is a document; `outcome` is what the last one found. */
  verifications: { policy: string; set_id: string; schedule: string; counts_from_ms: number; outcome: string | null };
  /** `days` 0: it is not re-read. `at` is a time of the day; `parts` is a document: when each part is due, and was read. */
  rereads: { repository: string; days: number; at: string; counts_from_ms: number; parts: string };
  /** `days` 0: not by itself. `begun_ms`: when the last one of its schedule began; `wanted_ms`: when something was deleted last. */
  sweeps: { repository: string; days: number; at: string; counts_from_ms: number; begun_ms: number; wanted_ms: number | null };
  archives: { repository: string; set_id: string; set_name: string; sealed_key: string };
  sets: {
    id: string;
    name: string;
    repository: string;
    sealed_target: string;
    sign_in: string;
    hosts: string;
    discovered: string;
    added_ms: number;
    refreshed_ms: number;
    /** JSON: how its oplog is taken, and whether that is paused. */
    oplog_mode: string;
  };
  oplog_standings: { set_id: string; standing: string; at_ms: number };
  alarms: {
    id: string;
    set_id: string;
    /** When it happened; `raised_ms` is when we heard of it. */
    at_ms: number;
    raised_ms: number;
    what: string;
    says: string;
    backup_session: string | null;
    /** 1: nothing more is started for it. */
    is_settled: number;
  };
  /** What the warden of a host tells. `place` null: the host itself. `is_settled` 1: it tells it no more. */
  host_alarms: { id: string; host: string; place: string | null; at_ms: number; raised_ms: number; says: string; is_settled: number };
  /** Where news goes: `about` may be shown, the channel itself is sealed, `rule` is a document of the contract. `says` is why the last try failed. */
  notifications: { id: string; name: string; kind: string; about: string; sealed_channel: string; rule: string; added_ms: number; summary_from_ms: number; told: number; given_up: number; says: string | null };
  /** Programs that run before and after backups of a set, in the order of their ids. */
  hooks: { id: string; set_id: string; moment: string; host: string; program: string; args: string; deadline_s: number; on_failure: string; added_ms: number };
  /** What happened: its id sorts by time; `ref` is the session, alarm, set or notification that it is about. `is_shared` 1: its tellings are there. */
  news: { id: string; kind: string; ref: string; at_ms: number; is_shared: number };
  /** `waiting`, `held`, `muted`, `told`, `given-up`. */
  tellings: { news: string; notification: string; state: string; tries: number; next_ms: number; ended_ms: number | null };
  points: { id: string; set_id: string; repository: string; created_ms: number; summary: string; lost: number };
  holds: { point: string; since_ms: number; reason: string };
  sessions: {
    id: string;
    kind: string;
    object_kind: string;
    object_id: string;
    object_name: string;
    set_id: string | null;
    /** What this session has for itself while it runs: two sessions with one lane cannot both be open. */
    lane: string | null;
    state: string;
    stopping: number;
    sealed_wish: string;
    created_ms: number;
    started_ms: number | null;
    ended_ms: number | null;
    progress: string | null;
    warnings: number;
    result: string | null;
    failure: string | null;
    reason: string | null;
    retry_of: string | null;
    /** Which server runs it, by its row in `servers`; null, or one that is not there any more: nobody's. */
    server: string | null;
    /** What it was begun for, once: `RUN/SET/TRY` of a policy. */
    claim: string | null;
    /** It only said what it would do. */
    is_plan: number;
  };
  /** How many there were of those that are not kept any more. */
  session_tallies: { kind: string; state: string; count: number };
  session_events: { session: string; number: number; at_ms: number; event: string };
  /** What a session has decided and done so far, by name: read again when the server takes it up after a restart. */
  session_notes: { session: string; name: string; sealed_value: string };
  session_tasks: { task_id: string; session: string; name: string; kind: string; host: string; is_accepted: number; after: number; outcome: string | null };
  publications: { id: string; set_id: string; set_name: string; point: string; at: string; session: string; started_ms: number; expires_ms: number; state: string; uri: string | null; says: string | null };
  users: {
    id: string;
    name: string;
    /** `local` or `directory`. */
    source: string;
    /** JSON: names of roles; of a directory user as its groups were at the last check. */
    roles: string;
    /** scrypt$…; null for the directory's. */
    password: string | null;
    must_change: number;
    /** Its secret is there from `begin` on, and asked for once `totp_on` is 1. */
    sealed_totp: string | null;
    totp_on: number;
    /** The step of the newest code that was used: it and those before it are used up. */
    totp_step: number;
    is_disabled: number;
    /** What the directory calls the account for as long as it is there. */
    directory_key: string | null;
    says: string | null;
    checked_ms: number | null;
    added_ms: number;
    last_sign_in_ms: number | null;
  };
  user_tokens: { id: string; user_id: string; kind: string; name: string | null; role: string | null; hash: string; from_address: string; created_ms: number; expires_ms: number; used_ms: number | null };
  /** `name` is a keyed hash of what was typed, whether there is such a user or not. */
  sign_in_failures: { name: string; count: number; since_ms: number; locked_until_ms: number | null };
  roles: { name: string; permissions: string; objects: string | null; targets: string | null; added_ms: number };
  /** One row: `settings` is a document of the contract. */
  directories: { id: string; settings: string; sealed_password: string; changed_ms: number };
  /** Servers at work on this catalog, one row for each start of one. Whose row is gone writes nothing about sessions any more. */
  /** Where hosts reach each of the servers, by the server's name; it stays when the server has ended. */
  server_addresses: { name: string; enrolment_host: string; enrolment_port: number; orders_host: string; orders_port: number; /** Of the database's clock. */ seen_ms: number };
  servers: { id: string; name: string; version: string; started_ms: number; /** Of the database's clock. */ until_ms: number };
  /** What one server does for all, such as the schedules. */
  duties: { name: string; server: string };
  audit: { number: number; at_ms: number; who: string; from_address: string; what: string; object: string; outcome: string; reason: string | null; hash: string };
};

/**
 * The database's schema as the list of steps that led to it: step N brings version N−1 to version N. A step that
 * was ever released is not changed any more; what comes later is a new step. Columns are named as in
 * `records.ts`; those that hold JSON are checked by a schema whenever they are read.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE vms (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    socket TEXT NOT NULL,
    agentKey TEXT NOT NULL,
    login TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    enrolledAt INTEGER NOT NULL,
    lastSeen INTEGER NOT NULL,
    features TEXT,
    instructionSet TEXT
  ) STRICT;

  CREATE TABLE scans (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    mode TEXT NOT NULL,
    startedAt INTEGER NOT NULL,
    finishedAt INTEGER,
    state TEXT NOT NULL,
    summary TEXT
  ) STRICT;
  CREATE INDEX scansByVm ON scans (vm, startedAt);

  CREATE TABLE findings (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    scan TEXT NOT NULL,
    firstSeen INTEGER NOT NULL,
    lastSeen INTEGER NOT NULL,
    judgement TEXT NOT NULL,
    subject TEXT NOT NULL,
    detections TEXT NOT NULL,
    response TEXT NOT NULL,
    reason TEXT
  ) STRICT;
  CREATE INDEX findingsByVm ON findings (vm, lastSeen);
  CREATE INDEX findingsByScan ON findings (scan);

  CREATE TABLE actions (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    finding TEXT,
    instructionSet TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    instruction TEXT NOT NULL,
    intentAt INTEGER NOT NULL,
    outcome TEXT,
    outcomeAt INTEGER
  ) STRICT;
  CREATE INDEX actionsByVm ON actions (vm, intentAt);
  CREATE INDEX openActions ON actions (vm) WHERE outcome IS NULL;

  -- Every intent and outcome once more, as a chain of hashes (audit.ts).
  CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    entry TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;

  CREATE TABLE vault (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    finding TEXT,
    action TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    state TEXT,
    status TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX vaultByAction ON vault (action);

  CREATE TABLE patches (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    patch TEXT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    reasons TEXT NOT NULL,
    actions TEXT NOT NULL,
    at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX patchesByVm ON patches (vm, at);
  `,
  `
  -- Contents that were judged, the least recently used first: a row that is used gets a new id (known-contents.ts).
  CREATE TABLE knownContents (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    head BLOB NOT NULL,
    sha1 BLOB,
    md5 BLOB,
    answers BLOB NOT NULL,
    usedOn INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE knownContentCount (contents INTEGER NOT NULL) STRICT;
  INSERT INTO knownContentCount VALUES (0);

  -- Listings of guests, and which contents their files had (known-lines.ts).
  CREATE TABLE knownGuests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    vm TEXT NOT NULL UNIQUE,
    scannedAt INTEGER NOT NULL,
    files INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE knownLines (
    -- Never used twice: what is newer has a higher one.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guest INTEGER NOT NULL,
    directory BLOB NOT NULL,
    digest BLOB NOT NULL,
    generation BLOB,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    claimed INTEGER NOT NULL,
    shareable INTEGER NOT NULL,
    entries BLOB NOT NULL
  ) STRICT;
  CREATE INDEX knownLinesByDirectory ON knownLines (guest, directory, digest);
  `,
  `
  -- Packs of signatures: which serial is in use, and which one comes back on a rollback.
  CREATE TABLE packs (
    vendor TEXT NOT NULL,
    id TEXT NOT NULL,
    -- JSON: serial, digest, version and so on of the version.
    active TEXT NOT NULL,
    previous TEXT,
    -- Installed versions never go back behind it; a rollback leaves it.
    highestSerial INTEGER NOT NULL,
    changedAt INTEGER NOT NULL,
    PRIMARY KEY (vendor, id)
  ) STRICT;
  CREATE TABLE packHistory (
    vendor TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    serial INTEGER NOT NULL
  ) STRICT;
  `,
  `
  -- What had a scan begin, why one came to nothing (JSON: code and message), and 1 where it was of a part of the guest.
  ALTER TABLE scans ADD COLUMN trigger TEXT NOT NULL DEFAULT 'manual';
  ALTER TABLE scans ADD COLUMN dryRun INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE scans ADD COLUMN error TEXT;
  ALTER TABLE scans ADD COLUMN partial INTEGER;
  CREATE INDEX scansByTime ON scans (startedAt);
  CREATE INDEX findingsByTime ON findings (lastSeen);
  CREATE INDEX actionsByTime ON actions (intentAt);
  `,
  `
  -- Why nothing may be done to a guest, JSON; and since when its key is forgotten, so that it can be enrolled again.
  ALTER TABLE vms ADD COLUMN suspended TEXT;
  ALTER TABLE vms ADD COLUMN resetAt INTEGER;

  -- One-time tokens: what their proofs are checked with, never the tokens themselves.
  CREATE TABLE enrolmentTokens (
    id INTEGER PRIMARY KEY,
    vm TEXT NOT NULL,
    key BLOB NOT NULL UNIQUE,
    createdAt INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    usedAt INTEGER
  ) STRICT;
  CREATE INDEX enrolmentTokensByVm ON enrolmentTokens (vm);

  -- Guests that logged in and were not let in, until an operator decides.
  CREATE TABLE pendingGuests (
    vm TEXT NOT NULL,
    agentKey TEXT NOT NULL,
    name TEXT NOT NULL,
    socket TEXT NOT NULL,
    login TEXT NOT NULL,
    reason TEXT NOT NULL,
    firstSeen INTEGER NOT NULL,
    lastSeen INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (vm, agentKey)
  ) STRICT;
  CREATE INDEX pendingGuestsByTime ON pendingGuests (lastSeen);
  `,
  `
  -- How often an open action was sent and its outcome could not be had.
  ALTER TABLE actions ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- When it was last tried whether this file can be written (condition.ts).
  CREATE TABLE writeProbe (at INTEGER NOT NULL) STRICT;
  INSERT INTO writeProbe VALUES (0);
  `,
  `
  -- How much lies in the vault, of all VMs and of one, is counted whenever more is to come: from these alone.
  CREATE INDEX vaultStored ON vault (vm, size, status) WHERE status <> 'purged';
  CREATE INDEX vaultByVm ON vault (vm, at);
  `,
  `
  -- What was done to VMs as a whole; who asked and the outcome are JSON.
  CREATE TABLE vmActions (
    id TEXT PRIMARY KEY,
    vm TEXT NOT NULL,
    action TEXT NOT NULL,
    snapshot TEXT,
    requester TEXT NOT NULL,
    intentAt INTEGER NOT NULL,
    outcome TEXT,
    outcomeAt INTEGER
  ) STRICT;
  CREATE INDEX vmActionsByVm ON vmActions (vm, intentAt);
  CREATE INDEX vmActionsByTime ON vmActions (intentAt);
  CREATE INDEX openVmActions ON vmActions (vm) WHERE outcome IS NULL;
  `,
];

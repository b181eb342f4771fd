/**
 * The story of each rollout: which revision, who moved when and how, how long each took to arrive, and what held the rest. It is told to
 * people and decides nothing. Entries are written in company, a moment later; a crash loses that moment.
 */
import type { Database } from "bun:sqlite";
import type { HistoryPort, Hold, Moved } from "../engine/ports.ts";
import type { Cancel, Env } from "../env/env.ts";
import { isFields } from "../kube/json.ts";
import { type Key, type Kind, type Ref, resourceName } from "../kube/kind.ts";
import type { RecordFile } from "./file.ts";
import { recordLimits } from "./limits.ts";
import { Pace } from "./pace.ts";
import { packValue, unpackValue } from "./packing.ts";
import { prune } from "./prune.ts";

export interface Rollout {
  readonly revision: string;
  readonly startedMs: number;
  /** The last move or arrival. */
  readonly lastMs: number;
  readonly moves: readonly Move[];
  /** What held something while this was the latest rollout. */
  readonly held: readonly Held[];
}

export interface Move {
  readonly on: string;
  readonly how: Moved["how"];
  readonly movedMs: number;
  /** Absent: not yet, or nobody saw it. */
  readonly landedMs?: number;
}

export interface Held {
  readonly code: string;
  readonly sinceMs: number;
  /** Absent: still. */
  readonly untilMs?: number;
  /** The most at one time. */
  readonly count: number;
  /** The first few. */
  readonly names: readonly string[];
  readonly figures?: Hold["figures"];
}

/** A move that has not arrived. `rollout` is known once it is written. */
interface OpenMove {
  readonly revision: string;
  readonly how: Moved["how"];
  readonly atMs: number;
  rollout: number;
}

interface OpenHold {
  readonly sinceMs: number;
  count: number;
  names: readonly string[];
  figures: Hold["figures"];
  untilMs: number | undefined;
}

type Entry = (database: Database) => void;

export type Arrived = (how: Moved["how"], tookMs: number) => void;

interface OwnerState {
  readonly id: number;
  rollout: number;
  revision: string;
}

export class History implements HistoryPort {
  readonly #env: Env;
  readonly #file: RecordFile;
  readonly #arrived: Arrived;
  /** Owner uid → subject → its latest move. */
  readonly #open = new Map<string, Map<string, OpenMove>>();
  /** Owner uid → code → what it holds now. */
  readonly #holds = new Map<string, Map<string, OpenHold>>();
  /** Owner uid → its row and its latest rollout, so that a thousand moves do not ask a thousand times. */
  readonly #owners = new Map<string, OwnerState>();
  /** Rollout → the latest of its moves and arrivals that is not written yet. */
  readonly #touched = new Map<number, number>();
  #openCount = 0;
  #waiting: Entry[] = [];
  readonly #waitingHolds = new Map<OpenHold, Entry>();
  #timer: Cancel | undefined;
  #prunedAtMs: number;

  /** @param arrived told of each move that arrives, also of those that an earlier process began */
  constructor(env: Env, file: RecordFile, arrived: Arrived = () => {}) {
    this.#env = env;
    this.#file = file;
    this.#arrived = arrived;
    this.#prunedAtMs = env.monotonicMs();
    file.onRenewed(() => this.#beginAnew());
    this.#beginAnew();
  }

  moved({ owner, on, revision, how, atMs }: Moved): void {
    const uid = uidOf(owner);
    const move: OpenMove = { revision, how, atMs, rollout: 0 };
    if (how === "delete") this.#close(uid, on);
    else this.#await(uid, on, move);
    this.#later((database) => {
      const state = this.#owner(database, owner, uid);
      enterRollout(database, state, revision, how, atMs);
      move.rollout = state.rollout;
      this.#touch(state.rollout, atMs);
      database
        .query("INSERT INTO move VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .run(move.rollout, on, atMs, how, how === "delete" ? atMs : null);
    });
  }

  landed(owner: Ref, hasLanded: (on: string, revision: string) => boolean, atMs: number): void {
    const uid = uidOf(owner);
    for (const [on, move] of this.#open.get(uid) ?? []) {
      if (!hasLanded(on, move.revision)) continue;
      this.#close(uid, on);
      this.#arrived(move.how, Math.max(0, atMs - move.atMs));
      this.#later((database) => {
        database
          .query("UPDATE move SET landed_at = ? WHERE rollout = ? AND subject = ? AND moved_at = ?")
          .run(atMs, move.rollout, on, move.atMs);
        this.#touch(move.rollout, atMs);
      });
    }
  }

  held(owner: Ref, holds: readonly Hold[], atMs: number): void {
    const uid = uidOf(owner);
    const open = this.#holds.get(uid) ?? new Map<string, OpenHold>();
    this.#holds.set(uid, open);
    const codes = new Set<string>();
    for (const { code, count, names, figures, sinceMs } of holds) {
      codes.add(code);
      const hold = open.get(code) ?? { sinceMs, count, names, figures, untilMs: undefined };
      open.set(code, hold);
      hold.count = Math.max(hold.count, count);
      hold.names = names;
      hold.figures = figures;
      this.#writeHold(owner, uid, code, hold);
    }
    for (const [code, hold] of open) {
      if (codes.has(code)) continue;
      open.delete(code);
      hold.untilMs = atMs;
      this.#writeHold(owner, uid, code, hold);
    }
    if (open.size === 0) this.#holds.delete(uid);
  }

  /** Newest first. */
  rollouts(of: Kind, key: Key): readonly Rollout[] {
    this.flush();
    return this.#file.attempt((database) => readRollouts(database, of, key)) ?? [];
  }

  /** Writes what waits for company, all of it now. */
  flush(): void {
    while (this.#waiting.length + this.#waitingHolds.size > 0) this.#writeBatch();
  }

  #writeBatch(): void {
    const moves = this.#waiting.splice(0, recordLimits.historyBatchMax);
    const holds = moves.length > 0 ? [] : [...this.#waitingHolds].slice(0, recordLimits.historyBatchMax);
    for (const [hold] of holds) this.#waitingHolds.delete(hold);
    const entries = [...moves, ...holds.map(([, entry]) => entry)];
    const isWritten = this.#file.write((database) => {
      for (const entry of entries) entry(database);
      for (const [rollout, atMs] of this.#touched)
        database.query("UPDATE rollout SET last_at = max(last_at, ?) WHERE id = ?").run(atMs, rollout);
      return true;
    });
    this.#touched.clear();
    // What was at hand may be of a transaction that did not happen.
    if (!isWritten) this.#owners.clear();
  }

  /** A batch a turn, so that a thousand pods moving at once do not hold the event loop. */
  #tick(): void {
    this.#timer = undefined;
    if (this.#waiting.length + this.#waitingHolds.size > 0) this.#writeBatch();
    if (this.#waiting.length + this.#waitingHolds.size > 0) this.#timer = this.#env.after(0, () => this.#tick());
    else if (this.#env.monotonicMs() - this.#prunedAtMs >= recordLimits.pruneIntervalMs) void this.prune();
  }

  /** Drops what is beyond the bounds. Called by itself now and then. */
  async prune(): Promise<void> {
    this.#prunedAtMs = this.#env.monotonicMs();
    this.#owners.clear();
    await this.#file.writeSliced((database) => prune(database, this.#env.nowMs(), new Pace(this.#env)));
    this.#owners.clear();
  }

  #owner(database: Database, owner: Ref, uid: string): OwnerState {
    const known = this.#owners.get(uid);
    if (known !== undefined) return known;
    const state = readOwner(database, owner, uid);
    if (this.#owners.size >= recordLimits.ownersKnownMax) this.#owners.clear();
    this.#owners.set(uid, state);
    return state;
  }

  #touch(rollout: number, atMs: number): void {
    this.#touched.set(rollout, Math.max(atMs, this.#touched.get(rollout) ?? 0));
  }

  #later(entry: (database: Database) => void): void {
    this.#waiting.push(entry);
    this.#arm();
  }

  /** Of the same hold only the latest form is written. */
  #writeHold(owner: Ref, uid: string, code: string, hold: OpenHold): void {
    this.#waitingHolds.set(hold, (database) => {
      const body = packValue({ count: hold.count, names: hold.names, figures: hold.figures });
      database
        .query("INSERT INTO hold VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until, body = excluded.body")
        .run(this.#owner(database, owner, uid).id, code, hold.sinceMs, hold.untilMs ?? null, body);
    });
    this.#arm();
  }

  #arm(): void {
    this.#timer ??= this.#env.after(recordLimits.historyDelayMs, () => this.#tick());
  }

  #await(uid: string, on: string, move: OpenMove): void {
    this.#close(uid, on);
    const moves = this.#open.get(uid) ?? new Map<string, OpenMove>();
    this.#open.set(uid, moves.set(on, move));
    this.#openCount += 1;
    if (this.#openCount <= recordLimits.openMovesMax) return;
    const oldest = this.#open.entries().next().value;
    const subject = oldest?.[1].keys().next().value;
    if (oldest !== undefined && subject !== undefined) this.#close(oldest[0], subject);
  }

  #close(uid: string, on: string): void {
    const moves = this.#open.get(uid);
    if (moves === undefined || !moves.delete(on)) return;
    this.#openCount -= 1;
    if (moves.size === 0) this.#open.delete(uid);
  }

  /** What an earlier process left open goes on here. */
  #beginAnew(): void {
    this.#open.clear();
    this.#holds.clear();
    this.#owners.clear();
    this.#openCount = 0;
    const moves = this.#file.attempt((database) => readOpenMoves(database)) ?? [];
    for (const { uid, subject, revision, how, moved_at, rollout } of moves)
      this.#await(uid, subject, { revision, how, atMs: moved_at, rollout });
    for (const { uid, code, since, body } of this.#file.attempt((database) => readOpenHolds(database)) ?? []) {
      const holds = this.#holds.get(uid) ?? new Map<string, OpenHold>();
      this.#holds.set(uid, holds.set(code, { sinceMs: since, untilMs: undefined, ...holdBody(body) }));
    }
  }
}

function uidOf(owner: Ref): string {
  return owner.uid ?? `${resourceName(owner.of)}/${owner.namespace}/${owner.name}`;
}

function readOwner(database: Database, { of, namespace, name }: Ref, uid: string): OwnerState {
  const select = database.query<{ id: number }, [string]>("SELECT id FROM owner WHERE uid = ?");
  let row = select.get(uid);
  if (row === null) {
    database.query("INSERT INTO owner (uid, resource, namespace, name) VALUES (?, ?, ?, ?)").run(uid, resourceName(of), namespace, name);
    row = select.get(uid);
  }
  const id = row?.id ?? 0;
  const latest = database
    .query<{ id: number; revision: string }, [number]>(
      "SELECT id, revision FROM rollout WHERE owner = ? ORDER BY started_at DESC, id DESC LIMIT 1",
    )
    .get(id);
  return { id, rollout: latest?.id ?? 0, revision: latest?.revision ?? "" };
}

/**
 * The rollout a move belongs to. A deletion belongs to the latest one whatever it deletes; so does the creation of a pod at an older
 * revision, where there was a rollout of it (a partition keeps some of them). Everything else of another revision begins a new rollout.
 */
function enterRollout(database: Database, state: OwnerState, revision: string, how: Moved["how"], atMs: number): void {
  if (
    state.rollout !== 0 &&
    (state.revision === revision || how === "delete" || (how === "create" && hadRollout(database, state.id, revision)))
  )
    return;
  database.query("INSERT INTO rollout (owner, revision, started_at, last_at) VALUES (?, ?, ?, ?)").run(state.id, revision, atMs, atMs);
  state.rollout = database.query<{ id: number }, []>("SELECT last_insert_rowid() AS id").get()?.id ?? 0;
  state.revision = revision;
}

function hadRollout(database: Database, owner: number, revision: string): boolean {
  return database.query("SELECT id FROM rollout WHERE owner = ? AND revision = ? LIMIT 1").get(owner, revision) !== null;
}

interface OpenMoveRow {
  readonly uid: string;
  readonly subject: string;
  readonly revision: string;
  readonly how: Moved["how"];
  readonly moved_at: number;
  readonly rollout: number;
}

function readOpenMoves(database: Database): readonly OpenMoveRow[] {
  return database
    .query<OpenMoveRow, [number]>(
      `SELECT owner.uid, move.subject, rollout.revision, move.how, move.moved_at, move.rollout FROM move
       JOIN rollout ON rollout.id = move.rollout JOIN owner ON owner.id = rollout.owner
       WHERE move.landed_at IS NULL ORDER BY move.moved_at LIMIT ?`,
    )
    .all(recordLimits.openMovesMax);
}

function readOpenHolds(database: Database): readonly { uid: string; code: string; since: number; body: Uint8Array }[] {
  return database
    .query<{ uid: string; code: string; since: number; body: Uint8Array }, []>(
      "SELECT owner.uid, hold.code, hold.since, hold.body FROM hold JOIN owner ON owner.id = hold.owner WHERE hold.until IS NULL",
    )
    .all();
}

function holdBody(bytes: Uint8Array): { count: number; names: readonly string[]; figures: Hold["figures"] } {
  const nothing = { count: 0, names: [], figures: undefined };
  try {
    const body = unpackValue(bytes);
    if (!isFields(body)) return nothing;
    const { count, names, figures } = body;
    return {
      count: typeof count === "number" ? count : 0,
      names: Array.isArray(names) ? names.map(String) : [],
      figures: isFields(figures) ? (figures as Hold["figures"]) : undefined,
    };
  } catch {
    return nothing;
  }
}

function readRollouts(database: Database, of: Kind, { namespace, name }: Key): readonly Rollout[] {
  const rows = database
    .query<{ id: number; owner: number; revision: string; started_at: number; last_at: number }, [string, string, string]>(
      `SELECT rollout.* FROM rollout JOIN owner ON owner.id = rollout.owner
       WHERE owner.resource = ? AND owner.namespace = ? AND owner.name = ? ORDER BY rollout.started_at DESC, rollout.id DESC`,
    )
    .all(resourceName(of), namespace, name);
  return rows.map(({ id, owner, revision, started_at, last_at }, index): Rollout => {
    // Of the same object: one of the same name before it has its own story.
    const newer = rows[index - 1];
    const endMs = newer !== undefined && newer.owner === owner ? newer.started_at : Number.MAX_SAFE_INTEGER;
    return {
      revision,
      startedMs: started_at,
      lastMs: last_at,
      moves: readMoves(database, id),
      held: readHeld(database, owner, started_at, endMs),
    };
  });
}

function readMoves(database: Database, rollout: number): readonly Move[] {
  return database
    .query<{ subject: string; how: Moved["how"]; moved_at: number; landed_at: number | null }, [number]>(
      "SELECT subject, how, moved_at, landed_at FROM move WHERE rollout = ? ORDER BY moved_at, subject",
    )
    .all(rollout)
    .map(({ subject, how, moved_at, landed_at }) => ({
      on: subject,
      how,
      movedMs: moved_at,
      ...(landed_at === null ? {} : { landedMs: landed_at }),
    }));
}

function readHeld(database: Database, owner: number, fromMs: number, toMs: number): readonly Held[] {
  return database
    .query<{ code: string; since: number; until: number | null; body: Uint8Array }, [number, number, number]>(
      "SELECT code, since, until, body FROM hold WHERE owner = ? AND since < ? AND (until IS NULL OR until >= ?) ORDER BY since, code",
    )
    .all(owner, toMs, fromMs)
    .map(({ code, since, until, body }) => {
      const { count, names, figures } = holdBody(body);
      return {
        code,
        sinceMs: since,
        ...(until === null ? {} : { untilMs: until }),
        count,
        names,
        ...(figures === undefined ? {} : { figures }),
      };
    });
}

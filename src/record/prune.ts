/** Keeps the history within its bounds: so many rollouts an object, so many moves in all, so old at most. */
import type { Database } from "bun:sqlite";
import { recordLimits } from "./limits.ts";
import type { Pace } from "./pace.ts";

interface Bounds {
  readonly rolloutsPerOwnerMax: number;
  readonly movesMax: number;
  readonly historyAgeMsMax: number;
}

/** In small steps: each rollout goes with its moves. */
export async function prune(database: Database, nowMs: number, pace: Pace, bounds: Bounds = recordLimits): Promise<void> {
  const oldestMs = nowMs - bounds.historyAgeMsMax;
  const tooMany = `SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY owner ORDER BY started_at DESC, id DESC) AS place FROM rollout) WHERE place > ?2`;
  await dropRollouts(database, `SELECT id FROM rollout WHERE last_at < ?1 UNION ${tooMany}`, [oldestMs, bounds.rolloutsPerOwnerMax], pace);
  let surplus = (database.query<{ count: number }, []>("SELECT count(*) AS count FROM move").get()?.count ?? 0) - bounds.movesMax;
  while (surplus > 0) {
    const dropped = await dropRollouts(database, "SELECT id FROM rollout ORDER BY last_at, id LIMIT ?1", [1], pace);
    if (dropped.rollouts === 0) break;
    surplus -= dropped.moves;
  }
  database.run("DELETE FROM hold WHERE (until IS NOT NULL AND until < ?1) OR since < ?2", [oldestMs, oldestMs - bounds.historyAgeMsMax]);
  await pace.rest();
  database.run("DELETE FROM owner WHERE id NOT IN (SELECT owner FROM rollout) AND id NOT IN (SELECT owner FROM hold)");
}

async function dropRollouts(database: Database, query: string, values: number[], pace: Pace): Promise<{ rollouts: number; moves: number }> {
  const rows = database.query<{ id: number }, number[]>(query).all(...values);
  let moves = 0;
  for (const { id } of rows) {
    moves += database.query("DELETE FROM move WHERE rollout = ?").run(id).changes;
    database.query("DELETE FROM rollout WHERE id = ?").run(id);
    await pace.rest();
  }
  return { rollouts: rows.length, moves };
}

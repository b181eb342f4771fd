/** Events are forgotten an hour after they happened, as by an API server. */
import { parseTime } from "../../kube/time.ts";
import type { Stored } from "../storage/store.ts";
import { type Controller, type MakeController, retryOf } from "./worker.ts";

const keptMs = 3_600_000;
/** Looking through all of them is cheap when it is rare. */
const sweepEveryMs = 300_000;
const sweep = { namespace: "", name: "sweep" };

export const events: MakeController = (inside, env): Controller => {
  let planned = false;
  return {
    name: "event-expiry",
    watches: {
      events: ({ after }) => {
        if (planned || after === undefined) return [];
        planned = true;
        return [sweep];
      },
    },
    async reconcile() {
      const nowMs = env.nowMs();
      const outcomes = [];
      for (const event of inside.list("events"))
        if (happenedMs(event, nowMs) + keptMs <= nowMs) outcomes.push(await inside.remove("events", event));
      planned = inside.list("events").length > 0;
      return retryOf(...outcomes) ?? (planned ? sweepEveryMs : undefined);
    },
  };
};

function happenedMs(event: Stored, otherwise: number): number {
  const { lastTimestamp, eventTime } = event;
  return parseTime(String(lastTimestamp ?? eventTime ?? event.metadata.creationTimestamp)) ?? otherwise;
}

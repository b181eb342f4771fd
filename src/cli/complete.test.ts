/** What may come next, as far as no cluster has to be asked. */
import { expect, test } from "bun:test";
import { command, group } from "./command.ts";
import { complete } from "./complete.ts";

const leaf = (summary: string) => command({ summary, usage: "" }, { revision: { kind: "integer", help: "which" } }, async () => 0);
const root = {
  rollout: group("updates", { status: leaf("wait"), restart: leaf("again") }),
  set: group("features", { image: leaf("images") }),
};

test.each<[string, string]>([
  ["", "rollout\tupdates\nset\tfeatures\n:4\n"],
  ["ro", "rollout\tupdates\n:4\n"],
  ["rollout ", "status\twait\nrestart\tagain\n:4\n"],
  ["rollout sta", "status\twait\n:4\n"],
  ["-n shop rollout sta", "status\twait\n:4\n"],
  ["rollout status --rev", "--revision\twhich\n:4\n"],
  ["rollout status --namesp", "--namespace\tnamespace; default: that of the context\n:4\n"],
  ["nothing", ":4\n"],
])("%p", async (line, expected) => {
  expect(await complete(root, line.split(" "))).toBe(expected);
});

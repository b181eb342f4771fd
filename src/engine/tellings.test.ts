import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { pods } from "../kube/kinds.ts";
import type { Pod } from "../kube/types.ts";
import { create, type Outcome } from "./plan.ts";
import { cut, sentence, tellings } from "./tellings.ts";
import { podDraft } from "./testing/kinds.ts";

const tell = {
  done: { reason: "SuccessfulCreate", text: "created pod" },
  failed: { reason: "FailedCreate", text: "failed to create pod" },
};
const action = (name: string, told: object = tell) => create<Pod>({ id: name, of: pods, object: podDraft(name), tell: told });
const done = (name: string): Outcome => ({ action: action(name), result: "done" });
const failed = (name: string, message: string, why: "denied" | "conflict" = "denied"): Outcome => ({
  action: action(name),
  result: "failed",
  failure: why === "conflict" ? { ok: false, why, message } : { ok: false, why, code: 403, reason: "Forbidden", message },
});

test("one Event for all of one reason, one for each text of failure, none for what is no news", () => {
  expect(
    tellings([
      done("web-1"),
      failed("web-2", "exceeded quota"),
      done("web-3"),
      failed("web-4", "exceeded quota"),
      failed("web-5", "image must be signed"),
      failed("web-6", "modified", "conflict"),
      { action: action("web-7"), result: "skipped" },
      { action: action("web-8"), result: "done", unchanged: true },
      { action: action("web-9", {}), result: "done" },
    ]),
  ).toEqual([
    { type: "Normal", reason: "SuccessfulCreate", message: "created pod web-1, web-3" },
    { type: "Warning", reason: "FailedCreate", message: "failed to create pod web-2, web-4: exceeded quota" },
    { type: "Warning", reason: "FailedCreate", message: "failed to create pod web-5: image must be signed" },
  ]);
});

describe("a sentence", () => {
  test.each([
    ["created pod", ["a", "b"], "", 1024, "created pod a, b"],
    ["created pod", ["aaaa", "bbbb", "cccc", "dddd"], "", 30, "created pod aaaa and 3 more"],
    ["failed", ["aaaa", "bbbb", "cccc"], "no quota", 32, "failed aaaa and 2 more: no quota"],
    ["created pod", [], "", 1024, "created pod"],
  ])("%s %j %s in %i bytes: %s", (text, names, failure, bytesMax, line) => {
    expect(sentence(text, names, failure, bytesMax)).toBe(line);
  });

  test("never longer than it may be, and every name is shown or counted", () => {
    const names = fc.array(fc.stringMatching(/^[a-z][a-z0-9-]{0,40}$/), { minLength: 1, maxLength: 400 });
    fc.assert(
      fc.property(names, fc.string({ maxLength: 1500, unit: "grapheme" }), (names, failure) => {
        const line = sentence("created pod", names, failure);
        expect(new TextEncoder().encode(line).length).toBeLessThanOrEqual(1024);
        const more = / and (\d+) more/.exec(line.slice(0, failure === "" ? undefined : 1024));
        if (failure === "") {
          const shown = line
            .replace(/ and \d+ more$/, "")
            .slice("created pod ".length)
            .split(", ").length;
          expect(shown + Number(more?.[1] ?? 0)).toBe(names.length);
        }
      }),
    );
  });

  test("a cut never leaves half a character", () => {
    expect(cut("häuser", 6)).toBe("hä…");
    expect(cut("👩‍🚀👩‍🚀", 9)).toBe("👩…");
    expect(cut("short", 5)).toBe("short");
  });
});

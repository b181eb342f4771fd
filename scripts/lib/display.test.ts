import { expect, test } from "bun:test";
import { Display } from "./display.ts";

function recorder(isTTY: boolean) {
  const written: string[] = [];
  return { written, display: new Display({ isTTY, write: (text) => written.push(text) }) };
}

test("a file gets each state once, as plain lines", () => {
  const { written, display } = recorder(false);
  for (const text of ["a", "a", "b"]) display.show(text);
  expect(written).toEqual(["\na\n", "\nb\n"]);
});

test("a terminal is redrawn where the text began", () => {
  const { written, display } = recorder(true);
  display.show("a\nb");
  display.show("c\nd");
  expect(written).toEqual(["\n\x1b[2Ka\n\x1b[2Kb\n\x1b[0J", "\x1b[2A\x1b[2Kc\n\x1b[2Kd\n\x1b[0J"]);
});

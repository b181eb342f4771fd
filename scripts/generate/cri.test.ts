import { describe, expect, test } from "bun:test";
import { messagesFrom } from "./cri.ts";

const proto = (body: string) => `syntax = "proto3"; package a.v1; ${body}`;

test("types, tables and calls; what is inside of a message comes before it", () => {
  const text = messagesFrom(
    proto(`
      service MyService { rpc Ask(Question) returns (Answer); }
      message Question { map<string, string> label_selector = 4; Inner inner = 7; }
      enum MyState { MY_NEW = 0; MY_HALF_DONE = 3; }
      // Of a question.
      message Inner {
        // Seconds.
        int64 timeout = 2;
        int64 created_at = 3;
        MyState state = 5;
        repeated string cmd = 6;
      }
      message Answer {}`),
  );
  expect(text.slice(text.indexOf("import")).trim()).toBe(`import { integer, message, nanoseconds, textMap, texts } from "./proto.ts";

export const myState = { new: 0, halfDone: 3 } as const;

/** Of a question. */
export interface Inner {
  /** Seconds. */
  readonly timeout: number;
  readonly createdAtMs: number;
  readonly state: number;
  readonly cmd: readonly string[];
}
export const inner = message<Inner>({
  timeout: [2, integer],
  createdAtMs: [3, nanoseconds],
  state: [5, integer],
  cmd: [6, texts],
});

export interface Question {
  readonly labelSelector: Readonly<Record<string, string>>;
  readonly inner: Inner | undefined;
}
export const question = message<Question>({
  labelSelector: [4, textMap],
  inner: [7, inner.type],
});

export type Answer = object;
export const answer = message<Answer>({});

export const myService = {
  ask: { path: "/a.v1.MyService/Ask", request: question, answer: answer },
} as const;`);
});

describe("what the codec cannot read and write is refused", () => {
  test.each([
    ["message A { double x = 1; }", /A\.x/],
    ["message A { sint32 x = 1; }", /A\.x/],
    ["message A { repeated int32 x = 1; }", /A\.x/],
    ["message A { map<string, int32> x = 1; }", /A\.x/],
    ["message A { A x = 1; }", /A contains itself/],
    ["message A { B x = 1; }", /no such.*B/],
    ["message A {} service S { rpc Follow(A) returns (stream A); }", /Follow.*one answer/],
  ])("%s", (body, problem) => expect(() => messagesFrom(proto(body))).toThrow(problem));
});

import { expect, test } from "bun:test";
import { Lanes } from "./lanes.ts";

/** Work that ends when it is told to, by name. */
class Works {
  readonly begun: string[] = [];
  private readonly ends = new Map<string, PromiseWithResolvers<string>>();

  work(name: string): () => Promise<string> {
    const end = Promise.withResolvers<string>();
    this.ends.set(name, end);
    return () => {
      this.begun.push(name);
      return end.promise;
    };
  }
  async end(name: string): Promise<void> {
    this.ends.get(name)?.resolve(`${name} done`);
    await Bun.sleep(0);
  }
  async fail(name: string): Promise<void> {
    this.ends.get(name)?.reject(new Error(`${name} failed`));
    await Bun.sleep(0);
  }
}

test("two at a time, in order, and each gets its own answer", async () => {
  const works = new Works();
  const lanes = new Lanes(2);
  const answers = ["a", "b", "c", "d"].map((name) => lanes.run(works.work(name)));
  expect(works.begun).toEqual(["a", "b"]);
  await works.end("b");
  expect(works.begun).toEqual(["a", "b", "c"]);
  await works.end("a");
  await works.end("d");
  await works.end("c");
  expect(await Promise.all(answers)).toEqual(["a done", "b done", "c done", "d done"]);
  expect(works.begun).toEqual(["a", "b", "c", "d"]);
});

test("what fails frees its lane", async () => {
  const works = new Works();
  const lanes = new Lanes(1);
  const [first, second] = [lanes.run(works.work("a")), lanes.run(works.work("b"))];
  const failure = first.catch(String);
  await works.fail("a");
  expect(await failure).toBe("Error: a failed");
  await works.end("b");
  expect(await second).toBe("b done");
  const third = lanes.run(works.work("c"));
  expect(works.begun).toEqual(["a", "b", "c"]);
  await works.end("c");
  expect(await third).toBe("c done");
});

/** The log of a container that nobody runs. */
import { expect, test } from "bun:test";
import { World } from "../testing/world.ts";

const path = "/api/v1/namespaces/default/pods/p";

test("each container of a pod has its line, and has to be named where there are several", async () => {
  const world = await World.start();
  const container = (name: string) => ({ name, image: `${name}:1` });
  await world.create("/api/v1/namespaces/default/pods", {
    metadata: { name: "p" },
    spec: { initContainers: [container("first")], containers: [container("a"), container("b")] },
  });
  const log = async (query = "") => world.request("GET", `${path}/log${query}`);
  expect((await log("?container=a")).text).toBe("");
  await world.pass(5000);
  for (const name of ["first", "a", "b"])
    expect((await log(`?container=${name}`)).text).toEndWith(`the sandbox runs no containers: this is ${name}:1\n`);
  const unnamed = await log();
  expect([unnamed.status, unnamed.body["message"]]).toEqual([
    400,
    "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [first]",
  ]);
  expect((await log("?container=none")).body["message"]).toBe("container none is not valid for pod p");
});

/** Creating an object from a command line. */

import type { Draft } from "../../kube/access.ts";
import { apiVersion, type Kind } from "../../kube/kind.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { Target } from "../objects.ts";
import type { Printer } from "../output.ts";
import { must, type Session } from "../session.ts";
import type { WriteFlags } from "../write.ts";

/** @returns the object as the server has it; undefined when it was only shown */
export async function make<T extends KubeObject>(
  session: Session,
  printer: Printer,
  of: Kind<T>,
  draft: object,
  { dryRun, fieldManager }: WriteFlags,
  operation = "created",
): Promise<T | undefined> {
  const object = { apiVersion: apiVersion(of), kind: of.kind, ...draft } as unknown as Draft<T>;
  if (dryRun === "client") {
    await printer.print({ of, object: object as unknown as T }, operation);
    return undefined;
  }
  const made = must(await session.client.create(of, object, { dryRun: dryRun === "server", fieldManager }));
  const target: Target = { of, object: made };
  await printer.print(target, operation, made);
  return dryRun === "none" ? made : undefined;
}

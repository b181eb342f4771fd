/** One attempt to get one image: is it there, is there room, who are we, and then the runtime's turn. */
import type { SandboxConfig } from "../../api/schema/common.ts";
import { pullReference, repositoryOfName } from "../../workload/images/reference.ts";
import type { ImageService } from "../cri/client.ts";
import { type CallFailure, grpcCode } from "../cri/grpc.ts";
import type { Image } from "../cri/messages.ts";
import type { Credential, Credentials } from "./credentials/index.ts";
import { redacted } from "./redact.ts";
import type { Task } from "./tasks.ts";

export interface PullDeps {
  readonly images: ImageService;
  readonly credentials: Pick<Credentials, "lookup">;
  /** Why no image may be pulled now. */
  readonly headroom: () => Promise<string | undefined>;
  /** The runtime looks short names up elsewhere than at Docker Hub. */
  readonly qualified: boolean;
}

export type Attempt =
  | { readonly ok: true; readonly how: "present" | "pulled"; readonly imageId?: string }
  /** `away`: the runtime or the API server did not answer, so that this was no attempt. */
  | { readonly ok: false; readonly away: boolean; readonly message: string };

const pulledBy = { "apps.kruise.io/pulling-image-by": "kruise-daemon" } as const;
const statusMs = 30_000; // ms for questions about an image

/** @param limitMs for all of it. Aborting `signal` ends it. */
export async function attempt(deps: PullDeps, { image, tag, entry, spec }: Task, limitMs: number, signal: AbortSignal): Promise<Attempt> {
  const reference = pullReference(image, tag, deps.qualified);
  if (spec.imagePullPolicy === "IfNotPresent") {
    const present = await deps.images.imageStatus(reference, { deadlineMs: Math.min(statusMs, limitMs), signal });
    if (!present.ok) return failed(present);
    if (present.value !== undefined) return { ok: true, how: "present", imageId: imageIdOf(image, present.value) };
  }
  const noRoom = await deps.headroom();
  if (noRoom !== undefined) return { ok: false, away: false, message: noRoom };
  const found = await deps.credentials.lookup(repositoryOfName(image), entry.pullSecrets ?? []);
  if (!found.ok) return { ok: false, away: found.away, message: found.message };
  const problems = await pullAs(deps.images, reference, entry.sandboxConfig, found.credentials, limitMs, signal);
  if (problems !== undefined) return problems;
  const now = await deps.images.imageStatus(reference, { deadlineMs: statusMs, signal });
  return { ok: true, how: "pulled", imageId: now.ok ? imageIdOf(image, now.value) : undefined };
}

/** As each of them until one is let in; as nobody where there is none. @returns what went wrong; undefined: it is there */
async function pullAs(
  images: ImageService,
  reference: string,
  sandbox: SandboxConfig | undefined,
  credentials: readonly Credential[],
  limitMs: number,
  signal: AbortSignal,
): Promise<Attempt | undefined> {
  const order = {
    image: reference,
    sandboxLabels: sandbox?.labels ?? {},
    sandboxAnnotations: { ...sandbox?.annotations, ...pulledBy },
  };
  const messages: string[] = [];
  for (const credential of credentials.length === 0 ? [undefined] : credentials) {
    const auth = credential && { username: credential.username, password: credential.password };
    const called = await images.pullImage({ ...order, ...(auth && { auth }) }, { deadlineMs: limitMs, signal });
    if (called.ok) return undefined;
    const problem = failed(called, credentials);
    if (problem.away || signal.aborted || called.code === grpcCode.deadlineExceeded) return problem;
    if (!messages.includes(problem.message)) messages.push(problem.message);
  }
  return { ok: false, away: false, message: messages.join("; ") };
}

function failed(failure: CallFailure, credentials: readonly Credential[] = []): Extract<Attempt, { readonly ok: false }> {
  if (failure.code === grpcCode.deadlineExceeded) return { ok: false, away: false, message: "canceled: the pull took too long" };
  return { ok: false, away: failure.code === grpcCode.unavailable, message: redacted(failure.message, credentials) };
}

function imageIdOf(image: string, found: Pick<Image, "id"> | undefined): string | undefined {
  return found === undefined || found.id === "" ? undefined : `${image}@${found.id}`;
}

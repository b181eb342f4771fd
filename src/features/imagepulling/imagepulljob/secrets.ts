/**
 * The pull secrets of a job, copied to where node agents may read them. Jobs share the copies and write their names on them; who leaves
 * last deletes the copy.
 */
import type { ImagePullJob } from "../../../api/imagepulljob.ts";
import { annotation } from "../../../api/names.ts";
import type { NodeImagePullSecret } from "../../../api/nodeimage.ts";
import { type Action, change, create, remove } from "../../../engine/plan.ts";
import { fnv1a } from "../../../kube/canonical/hash.ts";
import { compareUtf8, deepEqual, utf8Bytes } from "../../../kube/json.ts";
import { refOf } from "../../../kube/kind.ts";
import { secrets } from "../../../kube/kinds.ts";
import { mergePatchOf } from "../../../kube/patch/merge.ts";
import type { Secret } from "../../../kube/types.ts";

/** Secrets may be made unchangeable; a copy that is cannot follow its source. */
type Copy = Readonly<Secret & { immutable?: boolean }>;

export interface Claim {
  /** In the order of spec.pullSecrets; those that do not exist are left out. */
  readonly refs: readonly NodeImagePullSecret[];
  /** Ids of these come before the nodes are told. */
  readonly actions: readonly Action[];
}

const sharedMode = "batch";
const tell = { failed: { reason: "FailedSyncSecret", text: "failed to copy pull secret" } } as const;
const nameBytesMax = 253;
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * @param sources the job's secrets by name; undefined: not there
 * @param copies every secret of the daemon's namespace
 */
export function claim(
  job: Readonly<ImagePullJob>,
  sources: ReadonlyMap<string, Readonly<Secret> | undefined>,
  copies: readonly Readonly<Secret>[],
  configNamespace: string,
): Claim {
  const namespace = job.metadata.namespace ?? "";
  const wanted = [...new Set(job.spec.pullSecrets ?? [])];
  const usable = alive(copies);
  const taken = new Set(copies.map(({ metadata }) => metadata.name));
  const refs: NodeImagePullSecret[] = [];
  const actions: Action[] = [];
  const keys = new Set<string>();
  for (const name of wanted) {
    const key = `${namespace}/${name}`;
    keys.add(key);
    const source = sources.get(name);
    if (source === undefined) continue;
    const copy = chosen(job, usable, key, source);
    if (copy === undefined) {
      const object = copyOf(job, source, key, configNamespace, taken);
      actions.push(create<Secret>({ id: `secret/${name}`, of: secrets, object, tell }));
      refs.push({ namespace: configNamespace, name: object.metadata.name, mode: sharedMode });
      continue;
    }
    const mode = copy.metadata.annotations?.[annotation.imagePullSecretMode];
    refs.push({ namespace: configNamespace, name: copy.metadata.name, ...(mode === undefined ? {} : { mode }) });
    if (!isReferencedBy(copy, job) || !sameData(copy, source)) actions.push(refresh(job, copy, source, name));
  }
  const unwanted = usable.filter((copy) => isReferencedBy(copy, job) && !keys.has(sourceKeyOf(copy)));
  return { refs, actions: [...actions, ...unwanted.map((copy) => releaseCopy(job, copy))] };
}

/** The job gives back every copy that names it. */
export function release(job: Readonly<ImagePullJob>, copies: readonly Readonly<Secret>[]): readonly Action[] {
  return alive(copies)
    .filter((copy) => isReferencedBy(copy, job))
    .map((copy) => releaseCopy(job, copy));
}

function alive(copies: readonly Readonly<Secret>[]): readonly Copy[] {
  return copies
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .sort((a, b) => compareUtf8(a.metadata.name, b.metadata.name));
}

/** The first by name, or the last that names the job already. */
function chosen(job: Readonly<ImagePullJob>, copies: readonly Copy[], key: string, source: Readonly<Secret>): Copy | undefined {
  const fitting = copies.filter((copy) => sourceKeyOf(copy) === key && (copy.immutable !== true || sameData(copy, source)));
  return fitting.findLast((copy) => isReferencedBy(copy, job)) ?? fitting[0];
}

function copyOf(job: Readonly<ImagePullJob>, source: Readonly<Secret>, key: string, namespace: string, taken: Set<string>) {
  const name = freeName(source.metadata.name, key, taken);
  taken.add(name);
  const { [lastApplied]: _, ...annotations } = source.metadata.annotations ?? {};
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace,
      ...(source.metadata.labels === undefined ? {} : { labels: { ...source.metadata.labels } }),
      annotations: {
        ...annotations,
        [annotation.imagePullSecretReferences]: jobKey(job),
        [annotation.imagePullSecretSourceKey]: key,
        [annotation.imagePullSecretMode]: sharedMode,
      },
    },
    ...(source.type === undefined ? {} : { type: source.type }),
    ...(source.data === undefined ? {} : { data: source.data }),
  };
}

/** `<source>-<6 hex digits>`, the same for the same source: two managers, or two tries, never make two copies. */
function freeName(source: string, key: string, taken: ReadonlySet<string>): string {
  const prefix = source.slice(0, nameBytesMax - 7);
  for (let attempt = 0; ; attempt += 1) {
    const hash = fnv1a(utf8Bytes(attempt === 0 ? key : `${key} ${attempt}`));
    const name = `${prefix}-${(hash >>> 8).toString(16).padStart(6, "0")}`;
    if (!taken.has(name)) return name;
  }
}

function refresh(job: Readonly<ImagePullJob>, copy: Copy, source: Readonly<Secret>, name: string): Action {
  return change<Secret>({
    id: `secret/${name}`,
    on: refOf(secrets, copy as Secret),
    tell,
    goneIsFine: false,
    steps: [
      {
        name: "claim",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          if (fresh.metadata.deletionTimestamp !== undefined) return "the copy of the pull secret is being deleted";
          const references = [...new Set([...referencesOf(fresh), jobKey(job)])].sort(compareUtf8).join(",");
          const data = mergePatchOf(fresh.data ?? {}, source.data ?? {});
          const isClaimed = fresh.metadata.annotations?.[annotation.imagePullSecretReferences] === references;
          if (isClaimed && data === undefined) return undefined;
          const metadata = { annotations: { [annotation.imagePullSecretReferences]: references } };
          return { patch: "merge", body: { metadata, ...(data === undefined ? {} : { data }) } };
        },
      },
    ],
  });
}

function releaseCopy(job: Readonly<ImagePullJob>, copy: Copy): Action {
  const id = `release/${copy.metadata.name}`;
  const on = refOf(secrets, copy as Secret);
  const left = (of: Readonly<Secret>) => referencesOf(of).filter((key) => key !== jobKey(job));
  // Another job may name it in this very moment: only exactly what was looked at is deleted.
  if (left(copy).length === 0) return remove<Secret>({ id, on, resourceVersion: copy.metadata.resourceVersion });
  return change<Secret>({
    id,
    on,
    steps: [
      {
        name: "release",
        precondition: "version",
        onConflict: "retry",
        write: (fresh) => {
          if (!isReferencedBy(fresh, job)) return undefined;
          return { patch: "merge", body: { metadata: { annotations: { [annotation.imagePullSecretReferences]: left(fresh).join(",") } } } };
        },
      },
    ],
  });
}

function jobKey({ metadata }: Readonly<ImagePullJob>): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function referencesOf({ metadata }: Readonly<Secret>): readonly string[] {
  return (metadata.annotations?.[annotation.imagePullSecretReferences] ?? "").split(",").filter((key) => key !== "");
}

function isReferencedBy(copy: Readonly<Secret>, job: Readonly<ImagePullJob>): boolean {
  return referencesOf(copy).includes(jobKey(job));
}

function sourceKeyOf({ metadata }: Readonly<Secret>): string {
  return metadata.annotations?.[annotation.imagePullSecretSourceKey] ?? "";
}

function sameData(a: Readonly<Secret>, b: Readonly<Secret>): boolean {
  return deepEqual(a.data ?? {}, b.data ?? {});
}

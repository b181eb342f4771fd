/**
 * What admission refuses, of a SidecarSet in its storage version: metadata, spec, what an update may not change, and, when all of that is
 * right, what clashes with other SidecarSets.
 */
import { annotation } from "../../api/names.ts";
import type { Settings } from "../../api/settings.ts";
import { type SidecarSet, sidecarSets } from "../../api/sidecarset.ts";
import type { Reader } from "../../kube/access.ts";
import { type Fields, fieldsOf, isAbsent, itemsOf, textOf } from "../../kube/json.ts";
import { failureText } from "../../kube/outcome.ts";
import { isNativeSidecar } from "../../kube/pod.ts";
import { type FieldError, FieldErrors } from "../../kube/validate/field-error.ts";
import { validateMetadata } from "../../kube/validate/metadata.ts";
import { checkClashes } from "./clashes.ts";
import { resolveRevision, wantedRevision } from "./resolve.ts";
import { baseOf } from "./select.ts";
import { checkContainers } from "./validate-containers.ts";
import { checkPatches } from "./validate-patches.ts";
import { checkSelector, checkUpdateStrategy } from "./validate-strategy.ts";

export interface ValidationContext {
  readonly read: Reader;
  readonly settings: Settings;
}

/** @param old absent on creation */
export async function validateSidecarSet(
  set: Readonly<SidecarSet>,
  old: Readonly<SidecarSet> | undefined,
  context: ValidationContext,
): Promise<readonly FieldError[]> {
  const errors = new FieldErrors();
  errors.list.push(...validateMetadata(set.metadata, { namespaced: false, nameProblems }));
  await checkCanary(errors, set, old, context.read);
  await checkSpec(errors, set, context);
  if (old !== undefined) checkChange(errors, set, old);
  if (errors.any) return errors.list;
  // Asked of the server: two sets in one file come faster than the cache shows the first.
  const others = await context.read.live.list(sidecarSets);
  if (others.ok) checkClashes(errors, set, others.object);
  else errors.internal("spec", `what other SidecarSets inject cannot be read: ${failureText(others)}`);
  return errors.list;
}

const nameLengthMax = 63;

/** The name becomes the value of a label. */
function nameProblems(name: string): readonly string[] {
  const problems: string[] = [];
  if (!/^[a-zA-Z0-9-]+$/.test(name)) problems.push("must consist of alphanumeric characters or '-'");
  if (name.length > nameLengthMax) problems.push(`must be no more than ${nameLengthMax} characters`);
  return problems;
}

async function checkCanary(
  errors: FieldErrors,
  set: Readonly<SidecarSet>,
  old: Readonly<SidecarSet> | undefined,
  read: Reader,
): Promise<void> {
  const base = baseOf(set);
  if (base === undefined) return;
  const { name } = set.metadata;
  if (base === name)
    errors.invalid("metadata", name, `a canary cannot be its own base: annotation ${annotation.sidecarSetBase} names another SidecarSet`);
  else {
    const found = await setNamed(base, read);
    if (typeof found === "string") errors.invalid("metadata", base, `annotation ${annotation.sidecarSetBase}: ${found}`);
    else if (found === undefined)
      errors.invalid("metadata", base, `annotation ${annotation.sidecarSetBase}: there is no SidecarSet ${base}`);
    else if (baseOf(found) !== undefined)
      errors.invalid("metadata", base, `annotation ${annotation.sidecarSetBase}: SidecarSet ${base} is a canary itself`);
  }
  if (old !== undefined && textOf(old.metadata.annotations?.[annotation.sidecarSetBase]) !== base) {
    errors.invalid("metadata", base, `annotation ${annotation.sidecarSetBase} cannot be changed: create another canary`);
  }
  if (set.spec.updateStrategy?.type !== "NotUpdate") errors.invalid("metadata", name, "a canary needs spec.updateStrategy.type NotUpdate");
}

/** A base and its canary may be in one file, and so created faster than the cache shows the base. A text: why it cannot be read. */
async function setNamed(name: string, read: Reader): Promise<Readonly<SidecarSet> | string | undefined> {
  const cached = read.get(sidecarSets, { namespace: "", name });
  if (cached !== undefined) return cached;
  const answer = await read.live.get(sidecarSets, { namespace: "", name });
  if (answer.ok) return answer.object;
  return answer.why === "notFound" ? undefined : failureText(answer);
}

async function checkSpec(errors: FieldErrors, set: Readonly<SidecarSet>, context: ValidationContext): Promise<void> {
  const { spec } = set;
  if (
    spec.updateStrategy?.type === "RollingUpdate" &&
    itemsOf(spec.initContainers).some((container) => isNativeSidecar(fieldsOf(container)))
  ) {
    errors.required("spec.updateStrategy", "init containers with restartPolicy Always cannot be updated in place: set type NotUpdate");
  }
  if (isAbsent(spec.selector)) errors.required("spec.selector", "without it no pod is selected");
  else checkSelector(errors, spec.selector, "spec.selector");
  if (!isAbsent(spec.namespaceSelector)) checkSelector(errors, spec.namespaceSelector, "spec.namespaceSelector");
  await checkRevision(errors, set, context);
  checkUpdateStrategy(errors, spec.updateStrategy);
  checkContainers(errors, spec as Fields);
  await checkPatches(errors, set, context);
}

const revisionPolicies = ["Always", "Partial"];

async function checkRevision(errors: FieldErrors, set: Readonly<SidecarSet>, { read, settings }: ValidationContext): Promise<void> {
  const revision = set.spec.injectionStrategy?.revision;
  const path = "spec.injectionStrategy.revision";
  if (isAbsent(revision)) return;
  const wanted = wantedRevision(set);
  if (wanted === undefined) errors.invalid(path, revision, "name a revision: customVersion or revisionName");
  else {
    const resolved = await resolveRevision(read, settings, set.metadata.name, wanted);
    if (!resolved.ok) errors.invalid(path, revision, resolved.problem);
  }
  const policy = textOf(revision.policy);
  if (policy !== "" && !revisionPolicies.includes(policy)) errors.invalid(`${path}.policy`, policy, "must be Always or Partial");
}

/** Pods cannot gain or rename containers, and a container cannot become two. */
function checkChange(errors: FieldErrors, set: Readonly<SidecarSet>, old: Readonly<SidecarSet>): void {
  const before = new Map(itemsOf(old.spec?.containers).map((container) => [textOf(fieldsOf(container)["name"]), fieldsOf(container)]));
  for (const [index, container] of itemsOf(set.spec.containers).map(fieldsOf).entries()) {
    const name = textOf(container["name"]);
    const known = before.get(name);
    if (known === undefined) {
      errors.invalid(
        "spec.containers.name",
        name,
        "containers cannot be added or renamed: pods that were injected cannot get them; create another SidecarSet",
      );
      continue;
    }
    const typeBefore = textOf(fieldsOf(known["upgradeStrategy"])["upgradeType"]);
    const type = textOf(fieldsOf(container["upgradeStrategy"])["upgradeType"]);
    if (typeBefore !== "" && type !== typeBefore)
      errors.invalid(`spec.containers[${index}].upgradeStrategy.upgradeType`, type, `cannot be changed from ${typeBefore}`);
  }
}

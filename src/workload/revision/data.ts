/** The content of revisions, computed once per object: revisions and templates from the watch cache are shared and never change. */
import { podTemplateRevisionData, templateOfRevisionData } from "../../kube/canonical/revision-data.ts";
import { deepEqual, type Fields, fieldsOf } from "../../kube/json.ts";
import { memo } from "../../kube/memo.ts";
import type { ControllerRevision, PodTemplateSpec } from "../../kube/types.ts";

const none: object = Object.freeze({});
const objectOr = (value: unknown): object => (typeof value === "object" && value !== null ? value : none);

/** The canonical text of the revision that a pod template makes. */
export const templateData: (template: object) => string = memo(podTemplateRevisionData);

/** The pod template of a revision, every absent field that is always written in its place: for comparing, never for writing. */
const normalisedTemplate: (data: object) => Fields | undefined = memo((data) => {
  const template = templateOfRevisionData(data);
  if (template === undefined) return undefined;
  return templateOfRevisionData(JSON.parse(podTemplateRevisionData(template)));
});

/** The stored data as this build would write it; "" when it holds no pod template. */
const canonicalData: (data: object) => string = memo((data) => {
  const template = templateOfRevisionData(data);
  return template === undefined ? "" : podTemplateRevisionData(template);
});

export function canonicalDataOf(revision: Readonly<ControllerRevision>): string {
  return canonicalData(objectOr(revision.data));
}

/** The data as it is stored. */
const storedData: (data: object) => string = memo((data) => JSON.stringify(data));

/** Whether a revision records what `data`, a canonical text, says. */
export function isRecordOf(revision: Readonly<ControllerRevision>, data: string): boolean {
  // What this build wrote comes back in the same bytes, and need not be brought into their form: after a start there are many to look at.
  return storedData(objectOr(revision.data)) === data || canonicalDataOf(revision) === data;
}

/** undefined when the revision holds no pod template. */
export function normalisedTemplateOf(revision: Readonly<ControllerRevision>): Fields | undefined {
  return normalisedTemplate(objectOr(revision.data));
}

/** The pod template that a revision recorded, to create pods from; undefined when it holds none. */
export function templateOf(revision: Readonly<ControllerRevision>): PodTemplateSpec | undefined {
  return storedTemplate(objectOr(revision.data)) as PodTemplateSpec | undefined;
}
const storedTemplate: (data: object) => Fields | undefined = memo(templateOfRevisionData);

/** Whether both record the same beside their pod templates (which normally is nothing). */
export function equalBesideTemplate(a: Readonly<ControllerRevision>, b: Readonly<ControllerRevision>): boolean {
  return deepEqual(withoutTemplate(a.data), withoutTemplate(b.data));
}

function withoutTemplate(data: unknown): unknown {
  const { spec, ...others } = fieldsOf(data);
  const { template: _, ...rest } = fieldsOf(spec);
  return { ...others, spec: rest };
}

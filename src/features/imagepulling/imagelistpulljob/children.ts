/** The ImagePullJobs of a list: what they should be, and whether one that is there is still that. */
import type { ImageListPullJob } from "../../../api/imagelistpulljob.ts";
import { imageListPullJobs } from "../../../api/imagelistpulljob.ts";
import { type ImagePullJob, type ImagePullJobSpec, imagePullJobs } from "../../../api/imagepulljob.ts";
import { label } from "../../../api/names.ts";
import { fnv1a, safeEncode } from "../../../kube/canonical/hash.ts";
import { deepEqual, type Fields, fieldsOf, isFields, sortedKeys, utf8Bytes, withFields } from "../../../kube/json.ts";
import { apiVersion } from "../../../kube/kind.ts";
import { defaultTemplate, templateDefaults } from "../template.ts";

/** Everything of the spec but its images. */
export function templateOf({ spec }: Readonly<ImageListPullJob>): Fields {
  const { images: _, ...template } = fieldsOf(spec);
  return template;
}

/** Of the template, whatever the order of its fields: a valid label value. */
export function templateHash(template: Fields): string {
  return safeEncode(String(fnv1a(utf8Bytes(sortedText(template)))));
}

function sortedText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedText).join(",")}]`;
  if (!isFields(value)) return JSON.stringify(value) ?? "null";
  return `{${sortedKeys(value)
    .map((key) => `${JSON.stringify(key)}:${sortedText(value[key])}`)
    .join(",")}}`;
}

export type Consistency = "same" | "relabel" | "other";

/** "relabel": the hash is another (or another program's), what it stands for is the same. */
export function consistencyOf(child: Readonly<ImagePullJob>, template: Fields, hash: string): Consistency {
  if (child.metadata.labels?.[label.controllerRevisionHash] === hash) return "same";
  const { image: _, ...own } = fieldsOf(child.spec);
  return deepEqual(asStored(own), asStored(template)) ? "relabel" : "other";
}

/** As the webhook leaves it in an ImagePullJob. */
function asStored(template: Fields): Fields {
  return withFields(defaultTemplate(template), { imagePullPolicy: template["imagePullPolicy"] ?? templateDefaults.imagePullPolicy });
}

export function childOf(list: Readonly<ImageListPullJob>, image: string, template: Fields, hash: string, name: string) {
  const { namespace, name: listName, uid } = list.metadata;
  return {
    apiVersion: apiVersion(imagePullJobs),
    kind: imagePullJobs.kind,
    metadata: {
      name,
      namespace,
      labels: { [label.controllerRevisionHash]: hash },
      ownerReferences: [
        {
          apiVersion: apiVersion(imageListPullJobs),
          kind: imageListPullJobs.kind,
          name: listName,
          uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { ...template, image } as ImagePullJobSpec,
  };
}

const suffixLength = 5;
/** As the API server does for generateName: what is made from the name must still fit into a label. */
const prefixMax = 58; // characters, with the dash

/**
 * `<list>-<5 characters>`: the same for the same list, image and template, so that the job of an image is never made twice, whatever the
 * cache knows.
 * @param taken names that mean something else; the new one is added
 */
export function childName(list: Readonly<ImageListPullJob>, image: string, hash: string, taken: Set<string>): string {
  const prefix = `${list.metadata.name}-`.slice(0, prefixMax);
  for (let attempt = 0; ; attempt += 1) {
    const digest = fnv1a(utf8Bytes([list.metadata.uid, hash, image, ...(attempt === 0 ? [] : [String(attempt)])].join("\n")));
    const name = prefix + safeEncode(String(digest).padStart(10, "0")).slice(-suffixLength);
    if (taken.has(name)) continue;
    taken.add(name);
    return name;
  }
}

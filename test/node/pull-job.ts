import type { ImagePullJob, ImagePullJobSpec } from "../../src/api/imagepulljob.ts";
import { waitFor } from "../rig/index.ts";
import type { House, Room } from "./house.ts";

/** An ImagePullJob, of the repository's name, that brings its v1 to the house's node; answers how to wait for its status at the end. */
export async function pullJob({ rig, node }: House, { namespace }: Room, repository: string, pullPolicy: ImagePullJobSpec["pullPolicy"]) {
  const jobs = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/imagepulljobs`;
  await rig.admin.create(jobs, {
    apiVersion: "apps.kruise.io/v1beta1",
    kind: "ImagePullJob",
    metadata: { name: repository },
    spec: {
      image: rig.registry.image(repository, "v1"),
      selector: { names: [node.name] },
      completionPolicy: { type: "Always" },
      pullPolicy,
    },
  });
  const completed = (timeoutMs: number) =>
    waitFor(
      `job ${repository} to complete`,
      async () => {
        const job = await rig.admin.get<ImagePullJob>(`${jobs}/${repository}`);
        return job?.status?.completionTime ? job.status : undefined;
      },
      { timeoutMs },
    );
  return { completed };
}

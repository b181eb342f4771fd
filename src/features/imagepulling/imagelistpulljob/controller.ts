/** ImageListPullJob: several images on many nodes, with one ImagePullJob for each. */
import { imageListPullJobs } from "../../../api/imagelistpulljob.ts";
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { controller, type Seen, watch } from "../../../engine/controller.ts";
import { isOfKind, type Key } from "../../../kube/kind.ts";
import { controllerOf } from "../../../workload/owner.ts";
import { observe, plan } from "./plan.ts";

export const imageListPullJobController = controller({
  name: "imagelistpulljob-controller",
  of: imageListPullJobs,
  workers: { count: 3 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon") && gates.enabled("ImagePullJobGate"),
  watches: [watch<ImagePullJob>(imagePullJobs, childWakes)],
  observe,
  plan,
});

function childWakes({ before, after }: Seen<ImagePullJob>): readonly Key[] {
  return [before, after].flatMap((child) => {
    const owner = child === undefined ? undefined : controllerOf(child);
    return owner !== undefined && isOfKind(owner, imageListPullJobs)
      ? [{ namespace: child?.metadata.namespace ?? "", name: owner.name }]
      : [];
  });
}

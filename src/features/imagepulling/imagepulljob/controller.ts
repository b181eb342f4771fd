/**
 * ImagePullJob: one image on many nodes.
 *
 * select.ts and order.ts: which nodes, and in which order? secrets.ts: which copies of pull secrets? want.ts: what does a node's NodeImage
 * say once it has been told? plan.ts puts them together; watches.ts says which changes concern which job.
 */
import { type ImagePullJob, imagePullJobs } from "../../../api/imagepulljob.ts";
import { controller, type Seen } from "../../../engine/controller.ts";
import { observe } from "./observe.ts";
import { plan } from "./plan.ts";
import { jobConcerns, watches } from "./watches.ts";

export const imagePullJobController = controller({
  name: "imagepulljob-controller",
  of: imagePullJobs,
  workers: { flag: "imagepulljob-workers", count: 3 },
  enabled: ({ gates }) => gates.enabled("KruiseDaemon") && gates.enabled("ImagePullJobGate"),
  watches,
  concerns: (change) => jobConcerns(change as Seen<ImagePullJob>),
  observe,
  plan,
});

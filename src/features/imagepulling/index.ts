/**
 * Images on nodes before pods need them.
 *
 * An ImageListPullJob makes one ImagePullJob for each of its images; an ImagePullJob writes tasks into the NodeImages of its nodes, some at a
 * time; the node agent pulls, and tells in the status of its NodeImage; the job counts. nodeimage/ keeps NodeImages in step with nodes and
 * takes away what is over. template.ts is what both kinds of jobs have in common.
 */
import { imageListPullJobDefinition } from "../../api/imagelistpulljob.ts";
import { imagePullJobDefinition } from "../../api/imagepulljob.ts";
import { nodeImageDefinition } from "../../api/nodeimage.ts";
import type { Feature } from "../feature.ts";
import { explainers } from "./explain.ts";
import { imageListPullJobWebhooks } from "./imagelistpulljob/admission.ts";
import { imageListPullJobController } from "./imagelistpulljob/controller.ts";
import { imagePullJobWebhooks } from "./imagepulljob/admission.ts";
import { imagePullJobController } from "./imagepulljob/controller.ts";
import { nodeImageWebhooks } from "./nodeimage/admission.ts";
import { nodeImageController } from "./nodeimage/controller.ts";
import { nodeImageCreator } from "./nodeimage/create.ts";

const group = "apps.kruise.io";

export const imagePulling: Feature = {
  name: "image-pulling",
  kinds: [nodeImageDefinition, imagePullJobDefinition, imageListPullJobDefinition],
  controllers: [nodeImageCreator, nodeImageController, imagePullJobController, imageListPullJobController],
  webhooks: [...nodeImageWebhooks, ...imagePullJobWebhooks, ...imageListPullJobWebhooks],
  permissions: [
    { group, resources: ["nodeimages"], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
    { group, resources: ["nodeimages/status"], verbs: ["patch"] },
    { group, resources: ["imagepulljobs"], verbs: ["get", "list", "watch", "create", "patch", "delete"] },
    { group, resources: ["imagepulljobs/status"], verbs: ["patch"] },
    { group, resources: ["imagelistpulljobs"], verbs: ["get", "list", "watch", "patch", "delete"] },
    { group, resources: ["imagelistpulljobs/status"], verbs: ["patch"] },
    // Their ImagePullJobs block the deletion of their owner.
    { group, resources: ["imagelistpulljobs/finalizers"], verbs: ["update"] },
    // In which order the owner of a job will update its pods.
    { group, resources: ["clonesets", "statefulsets", "sidecarsets"], verbs: ["get"] },
    { group: "", resources: ["nodes", "pods"], verbs: ["get", "list", "watch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
    // A job names the secrets of its own namespace: they are read one by one, never listed or watched.
    { group: "", resources: ["secrets"], verbs: ["get"] },
    { group: "", resources: ["secrets"], verbs: ["list", "create", "patch", "delete"], namespace: "daemonConfig" },
  ],
  daemonPermissions: [
    { group, resources: ["nodeimages"], verbs: ["get", "list", "watch"] },
    { group, resources: ["nodeimages/status"], verbs: ["patch"] },
    { group: "", resources: ["events"], verbs: ["create", "patch"] },
    // The copies of pull secrets, and no other secret of the cluster.
    { group: "", resources: ["secrets"], verbs: ["get"], namespace: "daemonConfig" },
  ],
  explain: explainers,
};

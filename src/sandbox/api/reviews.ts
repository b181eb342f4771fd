/** Questions about who somebody is and what he may do. One admin, who may do everything. */
import { type Fields, fieldsOf, textOf } from "../../kube/json.ts";
import type { Actor } from "./call.ts";

/** @param plural "tokenreviews" … @returns undefined when there is no such question */
export function answerReview(plural: string, body: Fields, actor: Actor): Fields | undefined {
  const spec = fieldsOf(body["spec"]);
  const head = (kind: string, group: string) => ({ kind, apiVersion: `${group}/v1`, metadata: { creationTimestamp: null } });
  const user = { username: actor.username, groups: actor.groups };
  switch (plural) {
    case "tokenreviews": {
      const token = textOf(spec["token"]);
      const status = token === "" ? { authenticated: false } : { authenticated: true, user };
      return { ...head("TokenReview", "authentication.k8s.io"), spec, status };
    }
    case "selfsubjectreviews":
      return { ...head("SelfSubjectReview", "authentication.k8s.io"), status: { userInfo: user } };
    case "selfsubjectaccessreviews":
      return {
        ...head("SelfSubjectAccessReview", "authorization.k8s.io"),
        spec,
        status: { allowed: true, reason: "the sandbox has one admin" },
      };
    case "localsubjectaccessreviews":
    case "subjectaccessreviews": {
      const kind = plural === "subjectaccessreviews" ? "SubjectAccessReview" : "LocalSubjectAccessReview";
      return { ...head(kind, "authorization.k8s.io"), spec, status: { allowed: true, reason: "the sandbox has one admin" } };
    }
    case "selfsubjectrulesreviews":
      return {
        ...head("SelfSubjectRulesReview", "authorization.k8s.io"),
        spec,
        status: {
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
          nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
          incomplete: false,
        },
      };
    default:
      return undefined;
  }
}

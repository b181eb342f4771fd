/** Questions about who somebody is and what he may do. One admin, who may do everything. */
import { type Fields, fieldsOf, textOf } from "../../kube/json.ts";
import type { Actor } from "./call.ts";

/** Of a token that the sandbox gave out for a service account. */
function serviceAccountUser(namespace: string, name: string): Fields {
  return {
    username: `system:serviceaccount:${namespace}:${name}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
  };
}

/** @param plural "tokenreviews" … @returns undefined when there is no such question */
export function answerReview(plural: string, body: Fields, actor: Actor): Fields | undefined {
  const spec = fieldsOf(body["spec"]);
  const head = (kind: string, group: string) => ({ kind, apiVersion: `${group}/v1`, metadata: { creationTimestamp: null } });
  const user = { username: actor.username, groups: actor.groups };
  switch (plural) {
    case "tokenreviews": {
      const [, namespace, name] = /^sandbox\.([^.]+)\.([^.]+)$/.exec(textOf(spec["token"])) ?? [];
      const status =
        namespace === undefined
          ? { user: {}, error: "[invalid bearer token, unknown to the sandbox]" }
          : { authenticated: true, user: serviceAccountUser(namespace, name ?? "") };
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

/** What a user may look at, asked before anything waits for it. */
import type { Writer } from "../kube/access.ts";
import type { Kind } from "../kube/kind.ts";
import type { KubeObject } from "../kube/types.ts";

interface AccessReview extends KubeObject {
  readonly spec: {
    readonly resourceAttributes: { readonly group: string; readonly resource: string; readonly verb: string; readonly namespace: string };
  };
  readonly status?: { readonly allowed?: boolean };
}

const accessReviews: Kind<AccessReview> = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  namespaced: false,
};

/**
 * Those of `kinds` that the user may not list and watch: in `namespace`, or in the whole cluster for kinds without one. Where the server does
 * not say, the attempt will tell: such a kind is not among them.
 */
export async function unreadable<K extends Kind>(
  write: Pick<Writer, "create">,
  kinds: readonly K[],
  namespace: string,
): Promise<readonly K[]> {
  const mayNot = async (kind: K, verb: string): Promise<boolean> => {
    const resourceAttributes = { group: kind.group, resource: kind.plural, verb, namespace: kind.namespaced ? namespace : "" };
    const answer = await write.create(accessReviews, { metadata: {}, spec: { resourceAttributes } });
    return answer.ok && answer.object.status?.allowed === false;
  };
  const denied = await Promise.all(
    kinds.map(async (kind) => (await Promise.all(["list", "watch"].map((verb) => mayNot(kind, verb)))).includes(true)),
  );
  return kinds.filter((_, index) => denied[index]);
}

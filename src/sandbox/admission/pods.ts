/** What every new pod gets: a service account with its token, a priority, and tolerations for nodes that falter. */
import type { Env } from "../../env/env.ts";
import { type Fields, fieldsOf, itemsOf, textOf, withFields } from "../../kube/json.ts";
import { forbidden } from "../api/refusal.ts";
import type { Store, Stored } from "../storage/store.ts";
import type { Review } from "./admission.ts";

interface Parts {
  readonly env: Env;
  readonly store: Store;
}

const tokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";
const alphabet = "bcdfghjklmnpqrstvwxz2456789";
const mirrorAnnotation = "kubernetes.io/config.mirror";

export function withPodDefaults(parts: Parts, review: Review, pod: Stored): Stored {
  const spec = fieldsOf(pod["spec"]);
  const isMirror = pod.metadata.annotations?.[mirrorAnnotation] !== undefined;
  const served = isMirror ? spec : withServiceAccount(parts, review, spec);
  return withFields(pod, { spec: withTolerations(withPriority(parts.store, review, served)) }) as Stored;
}

function withServiceAccount({ env, store }: Parts, review: Review, spec: Fields): Fields {
  const name = textOf(spec["serviceAccountName"]) || "default";
  const account = store.get("serviceaccounts", { namespace: review.namespace, name });
  if (account === undefined)
    throw forbidden(
      review.resource.kind,
      review.object?.metadata.name ?? "",
      `error looking up service account ${review.namespace}/${name}: serviceaccount "${name}" not found`,
    );
  const named = withFields(spec, { serviceAccountName: name, serviceAccount: name });
  const secrets = itemsOf(account["imagePullSecrets"]);
  const pulling =
    itemsOf(spec["imagePullSecrets"]).length === 0 && secrets.length > 0 ? withFields(named, { imagePullSecrets: secrets }) : named;
  const wanted = spec["automountServiceAccountToken"] ?? account["automountServiceAccountToken"] ?? true;
  return wanted === false ? pulling : withToken(env, pulling);
}

function withToken(env: Env, spec: Fields): Fields {
  const known = itemsOf(spec["volumes"]).map(fieldsOf);
  const existing = known.find((volume) => textOf(volume["name"]).startsWith("kube-api-access-"));
  const suffix = Array.from({ length: 5 }, () => alphabet[Math.floor(env.random() * alphabet.length)]).join("");
  const name = existing === undefined ? `kube-api-access-${suffix}` : textOf(existing["name"]);
  let mounted = false;
  const withMount = (container: unknown): Fields => {
    const fields = fieldsOf(container);
    const mounts = itemsOf(fields["volumeMounts"]);
    if (mounts.some((mount) => fieldsOf(mount)["mountPath"] === tokenPath)) return fields;
    mounted = true;
    return withFields(fields, { volumeMounts: [...mounts, { name, readOnly: true, mountPath: tokenPath }] });
  };
  const containers = itemsOf(spec["containers"]).map(withMount);
  const init = spec["initContainers"] === undefined ? undefined : itemsOf(spec["initContainers"]).map(withMount);
  if (!mounted) return spec;
  return withFields(spec, {
    containers,
    ...(init === undefined ? {} : { initContainers: init }),
    ...(existing === undefined ? { volumes: [...known, tokenVolume(name)] } : {}),
  });
}

function tokenVolume(name: string): Fields {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
        { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
        { downwardAPI: { items: [{ path: "namespace", fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } }] } },
      ],
      defaultMode: 420,
    },
  };
}

const priorityClasses = "priorityclasses.scheduling.k8s.io";

function withPriority(store: Store, review: Review, spec: Fields): Fields {
  const name = textOf(spec["priorityClassName"]);
  const found =
    name === ""
      ? store.list(priorityClasses).find((candidate) => candidate["globalDefault"] === true)
      : store.get(priorityClasses, { namespace: "", name });
  if (name !== "" && found === undefined)
    throw forbidden(review.resource.kind, review.object?.metadata.name ?? "", `no PriorityClass with name ${name} was found`);
  const priority = typeof found?.["value"] === "number" ? found["value"] : 0;
  if (spec["priority"] !== undefined && spec["priority"] !== priority)
    throw forbidden(
      review.resource.kind,
      review.object?.metadata.name ?? "",
      `the integer value of priority (${spec["priority"]}) must not be provided in pod spec; priority admission controller computed ${priority} from the given PriorityClass name`,
    );
  return withFields(spec, {
    priority,
    preemptionPolicy: spec["preemptionPolicy"] ?? found?.["preemptionPolicy"] ?? "PreemptLowerPriority",
    ...(found === undefined ? {} : { priorityClassName: found.metadata.name }),
  });
}

function withTolerations(spec: Fields): Fields {
  const known = itemsOf(spec["tolerations"]).map(fieldsOf);
  const missing = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].filter(
    (key) =>
      !known.some(
        (toleration) =>
          (toleration["key"] === key || textOf(toleration["key"]) === "") && ["", "NoExecute"].includes(textOf(toleration["effect"])),
      ),
  );
  if (missing.length === 0) return spec;
  const added = missing.map((key) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 300 }));
  return withFields(spec, { tolerations: [...known, ...added] });
}

/** What Kubernetes fills in for a container of a pod template. */

import { defaultPullPolicy } from "../image-ref.ts";
import { type Fields, textOf, withFields } from "../json.ts";
import { fillAbsent, fillZero, inField, inItems, isZero } from "./fill.ts";
import { roundedResources } from "./resources.ts";

export interface ContainerDefaults {
  /** What an empty imagePullPolicy becomes: Kubernetes decides by the image's tag; OpenKruise's workloads always pull. */
  readonly emptyPullPolicy?: "byTag" | "Always";
  /** Which fields of a startupProbe are filled in: SidecarSets get only those that validation insists on. */
  readonly startupProbe?: "all" | "required";
  /** Whether a gRPC probe gets its empty service name; SidecarSets do not, so that their hashes stay. */
  readonly grpcService?: boolean;
}

function defaultHttpGet(action: Fields): Fields {
  return fillZero(action, { path: "/", scheme: "HTTP" });
}

function defaultProbe(probe: Fields, grpcService: boolean): Fields {
  const filled = inField(
    fillZero(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }),
    "httpGet",
    defaultHttpGet,
  );
  return grpcService ? inField(filled, "grpc", (action) => fillAbsent(action, { service: "" })) : filled;
}

function requiredOfProbe(probe: Fields): Fields {
  return inField(fillZero(probe, { successThreshold: 1 }), "httpGet", defaultHttpGet);
}

function defaultEnv(entry: Fields): Fields {
  return inField(entry, "valueFrom", (source) =>
    inField(
      inField(source, "fieldRef", (selector) => fillZero(selector, { apiVersion: "v1" })),
      "fileKeyRef",
      (selector) => fillAbsent(selector, { optional: false }),
    ),
  );
}

function defaultLifecycle(lifecycle: Fields): Fields {
  const handler = (child: Fields): Fields => inField(child, "httpGet", defaultHttpGet);
  return inField(inField(lifecycle, "postStart", handler), "preStop", handler);
}

/** @returns the same object when nothing was missing */
export function defaultContainer(
  container: Fields,
  { emptyPullPolicy = "byTag", startupProbe = "all", grpcService = true }: ContainerDefaults = {},
): Fields {
  const policy = emptyPullPolicy === "Always" ? "Always" : defaultPullPolicy(textOf(container["image"]));
  let filled = fillZero(container, {
    imagePullPolicy: policy,
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
  });
  filled = inItems(filled, "ports", (port) => fillZero(port, { protocol: "TCP" }));
  filled = inItems(filled, "env", defaultEnv);
  filled = inField(filled, "resources", roundedResources);
  for (const probe of ["livenessProbe", "readinessProbe"]) filled = inField(filled, probe, (child) => defaultProbe(child, grpcService));
  filled = inField(filled, "startupProbe", startupProbe === "all" ? (child) => defaultProbe(child, grpcService) : requiredOfProbe);
  return inField(filled, "lifecycle", defaultLifecycle);
}

/** In the host's network a container's port is the host's port. */
export function withHostPorts(container: Fields): Fields {
  return inItems(container, "ports", (port) =>
    isZero(port["hostPort"]) && !isZero(port["containerPort"]) ? withFields(port, { hostPort: port["containerPort"] }) : port,
  );
}

/** Limits without a request of the same name are requests as well. */
export function withRequestsFromLimits(container: Fields): Fields {
  return inField(container, "resources", (resources) => {
    const limits = resources["limits"];
    if (typeof limits !== "object" || limits === null || Array.isArray(limits)) return resources;
    const requests = fillAbsent((resources["requests"] ?? {}) as Fields, limits as Fields);
    return requests === resources["requests"] || Object.keys(requests).length === 0 ? resources : withFields(resources, { requests });
  });
}

/** Pod templates and what the API server says of them: what is wrong, the template, the beginning or a part of each error. */
export const base = { name: "c", image: "nginx:1.25" };
export const withContainer = (fields: object, spec: object = {}): unknown => ({
  metadata: { labels: { app: "a" } },
  spec: { containers: [{ ...base, ...fields }], ...spec },
});
export const withSpec = (fields: object): unknown => withContainer({}, fields);
export const withVolume = (source: object): unknown => withSpec({ volumes: [{ name: "v", ...source }] });
export const c0 = "spec.template.spec.containers[0]";
const v0 = "spec.template.spec.volumes[0]";

export const podTemplateCases: readonly (readonly [string, unknown, readonly string[]])[] = [
  ["no template", undefined, ["spec.template: Required value"]],
  ["no containers", { spec: {} }, ["spec.template.spec.containers: Required value"]],
  [
    "bad labels",
    { metadata: { labels: { a: "b c" } }, spec: { containers: [base] } },
    ['spec.template.labels: Invalid value: "b c": a valid label'],
  ],
  ["no name, no image", { spec: { containers: [{}] } }, [`${c0}.name: Required value`, `${c0}.image: Required value`]],
  ["a name that is no label", withContainer({ name: "a.b" }), [`${c0}.name: Invalid value: "a.b": must not contain dots`]],
  ["one name twice", withSpec({ containers: [base, base] }), ['spec.template.spec.containers[1].name: Duplicate value: "c"']],
  [
    "one name for two kinds of containers",
    withSpec({ initContainers: [base] }),
    ['spec.template.spec.initContainers[0].name: Duplicate value: "c"'],
  ],
  [
    "restart policy of a container",
    withContainer({ restartPolicy: "Always" }),
    [`${c0}.restartPolicy: Forbidden: may not be set for non-init containers`],
  ],
  [
    "probe of an init container",
    withSpec({ initContainers: [{ ...base, name: "i", livenessProbe: { exec: { command: ["a"] } } }] }),
    ["spec.template.spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"],
  ],
  [
    "restart policy of an init container",
    withSpec({ initContainers: [{ ...base, name: "i", restartPolicy: "Never" }] }),
    ['initContainers[0].restartPolicy: Unsupported value: "Never": supported values: "Always"'],
  ],
  [
    "pull policy",
    withContainer({ imagePullPolicy: "Sometimes" }),
    [`${c0}.imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"`],
  ],
  [
    "message policy",
    withContainer({ terminationMessagePolicy: "X" }),
    [`${c0}.terminationMessagePolicy: Unsupported value: "X": supported values: "File", "FallbackToLogsOnError"`],
  ],
  [
    "ports",
    withContainer({ ports: [{ containerPort: 0 }, { containerPort: 70000, protocol: "X", name: "a--b" }] }),
    [
      `${c0}.ports[0].containerPort: Required value`,
      `${c0}.ports[1].name: Invalid value: "a--b": must not contain consecutive hyphens`,
      `${c0}.ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive`,
      `${c0}.ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"`,
    ],
  ],
  [
    "one port name twice",
    withContainer({
      ports: [
        { containerPort: 1, name: "a" },
        { containerPort: 2, name: "a" },
      ],
    }),
    [`${c0}.ports[1].name: Duplicate value: "a"`],
  ],
  [
    "one host port twice",
    withContainer({
      ports: [
        { containerPort: 1, hostPort: 9 },
        { containerPort: 2, hostPort: 9 },
      ],
    }),
    [`${c0}.ports[1].hostPort: Duplicate value: "TCP//9"`],
  ],
  [
    "another host port in the host's network",
    withContainer({ ports: [{ containerPort: 1, hostPort: 9 }] }, { hostNetwork: true }),
    [`${c0}.ports[0].hostPort: Invalid value: 9: must match \`containerPort\` when \`hostNetwork\` is true`],
  ],
  ["env without a name", withContainer({ env: [{ value: "x" }] }), [`${c0}.env[0].name: Required value`]],
  ["env with =", withContainer({ env: [{ name: "A=B" }] }), [`${c0}.env[0].name: Invalid value: "A=B": a valid environment variable name`]],
  [
    "env from nowhere",
    withContainer({ env: [{ name: "A", valueFrom: {} }] }),
    [
      `${c0}.env[0].valueFrom: Invalid value: "": must specify one of: \`fieldRef\`, \`resourceFieldRef\`, \`configMapKeyRef\` or \`secretKeyRef\``,
    ],
  ],
  [
    "env from two places",
    withContainer({
      env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.name" }, secretKeyRef: { name: "s", key: "k" } } }],
    }),
    [`${c0}.env[0].valueFrom: Invalid value: "": may not have more than one field specified at a time`],
  ],
  [
    "env with a value and a source",
    withContainer({ env: [{ name: "A", value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }] }),
    [`${c0}.env[0].valueFrom: Invalid value: "": may not be specified when \`value\` is not empty`],
  ],
  [
    "env from an odd field",
    withContainer({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels" } } }] }),
    [
      `${c0}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace",`,
    ],
  ],
  [
    "env from an unknown field",
    withContainer({ env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.foo" } } }] }),
    [
      `${c0}.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "spec.foo": error converting fieldPath: field label not supported: spec.foo`,
    ],
  ],
  [
    "env from a key",
    withContainer({ env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "M", key: "" } } }] }),
    [
      `${c0}.env[0].valueFrom.configMapKeyRef.name: Invalid value: "M": a lowercase RFC 1123 subdomain`,
      `${c0}.env[0].valueFrom.configMapKeyRef.key: Required value`,
    ],
  ],
  [
    "envFrom nothing",
    withContainer({ envFrom: [{}] }),
    [`${c0}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``],
  ],
  [
    "more asked than allowed",
    withContainer({ resources: { limits: { cpu: "1" }, requests: { cpu: "1500m" } } }),
    [`${c0}.resources.requests: Invalid value: "1500m": must be less than or equal to cpu limit of 1`],
  ],
  [
    "an amount that is none",
    withContainer({ resources: { limits: { cpu: "many" } } }),
    [`${c0}.resources.limits[cpu]: Invalid value: "many": quantities must match the regular expression`],
  ],
  [
    "a negative amount",
    withContainer({ resources: { limits: { cpu: "-1" } } }),
    [`${c0}.resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0`],
  ],
  [
    "a resource nobody knows",
    withContainer({ resources: { limits: { gpu: "1" } } }),
    [
      `${c0}.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified`,
      `${c0}.resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers`,
    ],
  ],
  [
    "half a GPU",
    withContainer({ resources: { limits: { "example.com/gpu": "500m" } } }),
    [`${c0}.resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer`],
  ],
  [
    "a GPU asked without a limit",
    withContainer({ resources: { requests: { "example.com/gpu": "1" } } }),
    [`${c0}.resources.limits: Required value: Limit must be set for non overcommitable resources`],
  ],
  [
    "huge pages",
    withContainer({ resources: { limits: { "hugepages-2Mi": "3Mi", cpu: "1" } } }),
    [`${c0}.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`],
  ],
  ["a mount of nothing", withContainer({ volumeMounts: [{ name: "v", mountPath: "/v" }] }), [`${c0}.volumeMounts[0].name: Not found: "v"`]],
  [
    "two mounts in one place",
    withContainer(
      {
        volumeMounts: [
          { name: "v", mountPath: "/v" },
          { name: "v", mountPath: "/v" },
        ],
      },
      { volumes: [{ name: "v" }] },
    ),
    [`${c0}.volumeMounts[1].mountPath: Invalid value: "/v": must be unique`],
  ],
  [
    "a sub path that leaves",
    withContainer({ volumeMounts: [{ name: "v", mountPath: "/v", subPath: "../x" }] }, { volumes: [{ name: "v" }] }),
    [`${c0}.volumeMounts.subPath: Invalid value: "../x": must not contain '..'`],
  ],
  [
    "a device that is no claim",
    withContainer({ volumeDevices: [{ name: "v", devicePath: "/dev/v" }] }, { volumes: [{ name: "v" }] }),
    [
      `${c0}.volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
    ],
  ],
  ["a probe of nothing", withContainer({ livenessProbe: {} }), [`${c0}.livenessProbe: Required value: must specify a handler type`]],
  [
    "a probe of two things",
    withContainer({ livenessProbe: { exec: { command: ["a"] }, tcpSocket: { port: 1 } } }),
    [`${c0}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type`],
  ],
  [
    "a liveness probe with two successes",
    withContainer({ livenessProbe: { exec: { command: ["a"] }, successThreshold: 2 } }),
    [`${c0}.livenessProbe.successThreshold: Invalid value: 2: must be 1`],
  ],
  [
    "a probe's port",
    withContainer({ readinessProbe: { httpGet: { port: "HTTP" } } }),
    [
      `${c0}.readinessProbe.httpGet.port: Invalid value: "HTTP": must contain only alpha-numeric characters`,
      `${c0}.readinessProbe.httpGet.port: Invalid value: "HTTP": must contain at least one letter (a-z)`,
    ],
  ],
  [
    "a sleep longer than the grace",
    withContainer({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
    [`${c0}.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)`],
  ],
  ["a volume twice", withSpec({ volumes: [{ name: "v" }, { name: "v" }] }), ['spec.template.spec.volumes[1].name: Duplicate value: "v"']],
  [
    "a volume with two sources",
    withVolume({ emptyDir: {}, hostPath: { path: "/x" } }),
    [`${v0}.hostPath: Forbidden: may not specify more than 1 volume type`],
  ],
  ["a volume's name", withSpec({ volumes: [{ name: "V" }] }), [`${v0}.name: Invalid value: "V": a lowercase RFC 1123 label`]],
  ["a secret without a name", withVolume({ secret: {} }), [`${v0}.secret.secretName: Required value`]],
  [
    "a file's mode",
    withVolume({ configMap: { name: "m", defaultMode: 1000 } }),
    [`${v0}.configMap.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive`],
  ],
  [
    "a file's path",
    withVolume({ configMap: { name: "m", items: [{ key: "k", path: "/etc" }] } }),
    [`${v0}.configMap.items[0].path: Invalid value: "/etc": must be a relative path`],
  ],
  ["a claim without a name", withVolume({ persistentVolumeClaim: {} }), [`${v0}.persistentVolumeClaim.claimName: Required value`]],
  [
    "an ephemeral claim without a size",
    withVolume({ ephemeral: { volumeClaimTemplate: { spec: { accessModes: ["ReadWriteOnce"] } } } }),
    [`${v0}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value`],
  ],
  [
    "a token for a minute",
    withVolume({ projected: { sources: [{ serviceAccountToken: { path: "t", expirationSeconds: 60 } }] } }),
    [
      `${v0}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes`,
    ],
  ],
  [
    "two sources for one file",
    withVolume({
      projected: {
        sources: [
          { secret: { name: "a", items: [{ key: "k", path: "p" }] } },
          { configMap: { name: "b", items: [{ key: "k", path: "p" }] } },
        ],
      },
    }),
    [`${v0}.projected: Invalid value: "b": conflicting duplicate paths`],
  ],
  ["a host path's type", withVolume({ hostPath: { path: "/x", type: "Odd" } }), [`${v0}.hostPath.type: Unsupported value: "Odd"`]],
  [
    "restart policy",
    withSpec({ restartPolicy: "Maybe" }),
    ['spec.template.spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always", "OnFailure", "Never"'],
  ],
  [
    "DNS policy",
    withSpec({ dnsPolicy: "None" }),
    ["spec.template.spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
  ],
  ["node selector", withSpec({ nodeSelector: { a: "b c" } }), ['spec.template.spec.nodeSelector: Invalid value: "b c": a valid label']],
  [
    "tolerations",
    withSpec({ tolerations: [{ key: "a", operator: "Exists", value: "x" }, { effect: "Odd" }] }),
    [
      "tolerations[0].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'",
      'tolerations[1].operator: Invalid value: "": operator must be Exists when `key` is empty',
      'tolerations[1].effect: Unsupported value: "Odd": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ],
  ],
  [
    "affinity",
    withSpec({
      affinity: {
        nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
        podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 0, podAffinityTerm: {} }] },
      },
    }),
    [
      "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term",
      "weight: Invalid value: 0: must be in the range 1-100",
      "topologyKey: Required value: can not be empty",
      "name part must be non-empty",
      "name part must consist of",
    ],
  ],
  [
    "spreading",
    withSpec({ topologySpreadConstraints: [{ maxSkew: 0, topologyKey: "", whenUnsatisfiable: "X" }] }),
    [
      "topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
      "topologyKey: Required value: can not be empty",
      'whenUnsatisfiable: Unsupported value: "X": supported values: "DoNotSchedule", "ScheduleAnyway"',
    ],
  ],
  [
    "users",
    withSpec({ securityContext: { runAsUser: -1, sysctls: [{ name: "A" }] } }),
    [
      "securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
      'securityContext.sysctls[0].name: Invalid value: "A": must have at most 253 characters',
    ],
  ],
  [
    "privilege",
    withContainer({ securityContext: { privileged: true, allowPrivilegeEscalation: false } }),
    ["cannot set `allowPrivilegeEscalation` to false and `privileged` to true"],
  ],
  [
    "seccomp",
    withContainer({ securityContext: { seccompProfile: { type: "Localhost" } } }),
    [`${c0}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`],
  ],
  [
    "windows",
    withSpec({ os: { name: "windows" }, securityContext: { runAsUser: 1 } }),
    ["spec.template.spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod"],
  ],
  [
    "readiness gates",
    withSpec({ readinessGates: [{ conditionType: "a b" }] }),
    ['readinessGates[0].conditionType: Invalid value: "a b": name part must consist of'],
  ],
  [
    "host aliases",
    withSpec({ hostAliases: [{ ip: "x", hostnames: ["A"] }] }),
    [
      'hostAliases[0].ip: Invalid value: "x": must be a valid IP address',
      'hostAliases[0].hostnames[0]: Invalid value: "A": a lowercase RFC 1123 subdomain',
    ],
  ],
  [
    "names",
    withSpec({ hostname: "a.b", priorityClassName: "A", serviceAccount: "S" }),
    [
      'serviceAccountName: Invalid value: "S"',
      'hostname: Invalid value: "a.b": must not contain dots',
      'priorityClassName: Invalid value: "A"',
    ],
  ],
  [
    "deadline",
    withSpec({ activeDeadlineSeconds: 0 }),
    ["activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"],
  ],
  [
    "deletion cost",
    { metadata: { annotations: { "controller.kubernetes.io/pod-deletion-cost": "1.5" } }, spec: { containers: [base] } },
    ['spec.template.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "1.5": must be a 32bit integer'],
  ],
  [
    "ephemeral containers",
    withSpec({ ephemeralContainers: [{ name: "e", image: "i", ports: [{ containerPort: 1 }] }] }),
    [
      "ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
      "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
    ],
  ],
  [
    "wrong types",
    {
      metadata: 1,
      spec: { containers: { a: 1 }, volumes: [3], terminationGracePeriodSeconds: "x", nodeSelector: { a: 1 }, hostNetwork: "yes" },
    },
    [
      'spec.template.metadata: Invalid value: "number": must be an object',
      'spec.template.spec.volumes[0]: Invalid value: "number": must be an object',
      'spec.template.spec.containers: Invalid value: "object": must be a list',
      'spec.template.spec.terminationGracePeriodSeconds: Invalid value: "string": must be an integer',
      'spec.template.spec.nodeSelector[a]: Invalid value: "number": must be a string',
      'spec.template.spec.hostNetwork: Invalid value: "string": must be a boolean',
    ],
  ],
];

/**
 * What a Kubernetes API server (1.34) makes of a pod template: input, and what is stored. Amounts and absent fields are compared as
 * canonical JSON, so a row may leave out what every encoder adds.
 */
export interface DefaultsCase {
  readonly what: string;
  readonly given: unknown;
  readonly stored: unknown;
}

const container = (fields: object): object => ({
  name: "c",
  image: "nginx:1.25",
  imagePullPolicy: "IfNotPresent",
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
  ...fields,
});
const spec = (fields: object): object => ({
  dnsPolicy: "ClusterFirst",
  restartPolicy: "Always",
  schedulerName: "default-scheduler",
  securityContext: {},
  terminationGracePeriodSeconds: 30,
  ...fields,
});
const given = (fields: object): object => ({ spec: { containers: [{ name: "c", image: "nginx:1.25", ...fields }] } });
const stored = (fields: object): object => ({ spec: spec({ containers: [container(fields)] }) });
const givenVolume = (source: object): object => ({
  spec: { containers: [{ name: "c", image: "nginx:1.25" }], volumes: [{ name: "v", ...source }] },
});
const storedVolume = (source: object): object => ({ spec: spec({ containers: [container({})], volumes: [{ name: "v", ...source }] }) });
const fullProbe = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
const digest = `sha256:${"a".repeat(64)}`;

export const podTemplateCases: readonly DefaultsCase[] = [
  { what: "the least there is", given: given({}), stored: stored({}) },
  {
    what: "zero values count as missing where the type has no pointer",
    given: { spec: { dnsPolicy: "", restartPolicy: null, containers: [{ name: "c", image: "nginx:1.25", terminationMessagePath: "" }] } },
    stored: stored({}),
  },
  {
    what: "what was chosen stays",
    given: {
      spec: {
        dnsPolicy: "Default",
        restartPolicy: "Never",
        schedulerName: "s",
        securityContext: { runAsUser: 0 },
        terminationGracePeriodSeconds: 0,
        containers: [],
      },
    },
    stored: {
      spec: {
        dnsPolicy: "Default",
        restartPolicy: "Never",
        schedulerName: "s",
        securityContext: { runAsUser: 0 },
        terminationGracePeriodSeconds: 0,
        containers: [],
      },
    },
  },
  { what: "no tag: always pull", given: given({ image: "nginx" }), stored: stored({ image: "nginx", imagePullPolicy: "Always" }) },
  {
    what: "latest: always pull",
    given: given({ image: "r.io:5000/nginx:latest" }),
    stored: stored({ image: "r.io:5000/nginx:latest", imagePullPolicy: "Always" }),
  },
  { what: "a digest does not move", given: given({ image: `nginx@${digest}` }), stored: stored({ image: `nginx@${digest}` }) },
  {
    what: "a policy that was chosen stays",
    given: given({ image: "nginx", imagePullPolicy: "Never" }),
    stored: stored({ image: "nginx", imagePullPolicy: "Never" }),
  },
  {
    what: "ports",
    given: given({ ports: [{ containerPort: 80 }, { containerPort: 53, protocol: "UDP" }] }),
    stored: stored({
      ports: [
        { containerPort: 80, protocol: "TCP" },
        { containerPort: 53, protocol: "UDP" },
      ],
    }),
  },
  {
    what: "host ports come with the pod",
    given: { spec: { hostNetwork: true, containers: [{ name: "c", image: "nginx:1.25", ports: [{ containerPort: 80 }] }] } },
    stored: {
      spec: spec({ hostNetwork: true, containers: [container({ ports: [{ containerPort: 80, protocol: "TCP" }] })] }),
    },
  },
  {
    what: "env from the pod's fields",
    given: given({
      env: [
        { name: "A", value: "1" },
        { name: "B", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      ],
    }),
    stored: stored({
      env: [
        { name: "A", value: "1" },
        { name: "B", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } },
      ],
    }),
  },
  {
    what: "probes",
    given: given({
      livenessProbe: { httpGet: { port: 80 } },
      readinessProbe: { exec: { command: ["a"] }, periodSeconds: 5 },
      startupProbe: { tcpSocket: { port: "web" }, failureThreshold: 9 },
    }),
    stored: stored({
      livenessProbe: { httpGet: { port: 80, path: "/", scheme: "HTTP" }, ...fullProbe },
      readinessProbe: { exec: { command: ["a"] }, ...fullProbe, periodSeconds: 5 },
      startupProbe: { tcpSocket: { port: "web" }, ...fullProbe, failureThreshold: 9 },
    }),
  },
  {
    what: "a gRPC probe's service",
    given: given({ livenessProbe: { grpc: { port: 9000 } } }),
    stored: stored({ livenessProbe: { grpc: { port: 9000, service: "" }, ...fullProbe } }),
  },
  {
    what: "hooks over http",
    given: given({ lifecycle: { postStart: { httpGet: { port: 80, path: "/x" } }, preStop: { exec: { command: ["a"] } } } }),
    stored: stored({
      lifecycle: { postStart: { httpGet: { port: 80, path: "/x", scheme: "HTTP" } }, preStop: { exec: { command: ["a"] } } },
    }),
  },
  {
    what: "amounts finer than a thousandth are rounded up",
    given: given({ resources: { limits: { cpu: "1500u", memory: "1Gi" }, requests: { cpu: "0.0001" } } }),
    stored: stored({ resources: { limits: { cpu: "2m", memory: "1Gi" }, requests: { cpu: "1m" } } }),
  },
  {
    what: "requests from limits come with the pod",
    given: given({ resources: { limits: { cpu: "1" } } }),
    stored: stored({ resources: { limits: { cpu: "1" } } }),
  },
  {
    what: "init containers",
    given: { spec: { initContainers: [{ name: "c", image: "nginx:1.25", ports: [{ containerPort: 1 }] }], containers: [] } },
    stored: { spec: spec({ initContainers: [container({ ports: [{ containerPort: 1, protocol: "TCP" }] })], containers: [] }) },
  },
  { what: "a volume without a source", given: givenVolume({}), stored: storedVolume({ emptyDir: {} }) },
  {
    what: "files from secrets",
    given: givenVolume({ secret: { secretName: "s" } }),
    stored: storedVolume({ secret: { secretName: "s", defaultMode: 420 } }),
  },
  {
    what: "files from config maps",
    given: givenVolume({ configMap: { name: "m", defaultMode: 0 } }),
    stored: storedVolume({ configMap: { name: "m", defaultMode: 0 } }),
  },
  {
    what: "files from the pod's fields",
    given: givenVolume({ downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels" } }] } }),
    stored: storedVolume({
      downwardAPI: { defaultMode: 420, items: [{ path: "l", fieldRef: { apiVersion: "v1", fieldPath: "metadata.labels" } }] },
    }),
  },
  {
    what: "projected files",
    given: givenVolume({
      projected: {
        sources: [
          { serviceAccountToken: { path: "t" } },
          { downwardAPI: { items: [{ path: "n", fieldRef: { fieldPath: "metadata.name" } }] } },
          { secret: { name: "s" } },
        ],
      },
    }),
    stored: storedVolume({
      projected: {
        defaultMode: 420,
        sources: [
          { serviceAccountToken: { path: "t", expirationSeconds: 3600 } },
          { downwardAPI: { items: [{ path: "n", fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } }] } },
          { secret: { name: "s" } },
        ],
      },
    }),
  },
  {
    what: "the host's files",
    given: givenVolume({ hostPath: { path: "/x" } }),
    stored: storedVolume({ hostPath: { path: "/x", type: "" } }),
  },
  {
    what: "a claim of the pod's own",
    given: givenVolume({
      ephemeral: { volumeClaimTemplate: { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } } },
    }),
    stored: storedVolume({
      ephemeral: {
        volumeClaimTemplate: {
          spec: { accessModes: ["ReadWriteOnce"], volumeMode: "Filesystem", resources: { requests: { storage: "1Gi" } } },
        },
      },
    }),
  },
  {
    what: "a claim by name has nothing to fill in",
    given: givenVolume({ persistentVolumeClaim: { claimName: "x" } }),
    stored: storedVolume({ persistentVolumeClaim: { claimName: "x" } }),
  },
  {
    what: "iSCSI",
    given: givenVolume({ iscsi: { targetPortal: "p", iqn: "q", lun: 0 } }),
    stored: storedVolume({ iscsi: { targetPortal: "p", iqn: "q", lun: 0, iscsiInterface: "default" } }),
  },
  {
    what: "RBD",
    given: givenVolume({ rbd: { monitors: ["m"], image: "i" } }),
    stored: storedVolume({ rbd: { monitors: ["m"], image: "i", pool: "rbd", user: "admin", keyring: "/etc/ceph/keyring" } }),
  },
  {
    what: "Azure disks",
    given: givenVolume({ azureDisk: { diskName: "d", diskURI: "u" } }),
    stored: storedVolume({
      azureDisk: { diskName: "d", diskURI: "u", cachingMode: "ReadWrite", fsType: "ext4", readOnly: false, kind: "Shared" },
    }),
  },
  {
    what: "ScaleIO",
    given: givenVolume({ scaleIO: { gateway: "g", system: "s", secretRef: { name: "x" } } }),
    stored: storedVolume({
      scaleIO: { gateway: "g", system: "s", secretRef: { name: "x" }, storageMode: "ThinProvisioned", fsType: "xfs" },
    }),
  },
  {
    what: "the pod's overhead",
    given: { spec: { overhead: { cpu: "1500u" }, containers: [] } },
    stored: { spec: spec({ overhead: { cpu: "2m" }, containers: [] }) },
  },
];

/** What only a pod gets, on top of its template's defaults. */
export const podCases: readonly DefaultsCase[] = [
  { what: "service links", given: given({}), stored: { spec: spec({ enableServiceLinks: true, containers: [container({})] }) } },
  {
    what: "no service links, if chosen so",
    given: { spec: { enableServiceLinks: false, containers: [] } },
    stored: { spec: spec({ enableServiceLinks: false, containers: [] }) },
  },
  {
    what: "requests from limits",
    given: given({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } } }),
    stored: {
      spec: spec({
        enableServiceLinks: true,
        containers: [container({ resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m", memory: "1Gi" } } })],
      }),
    },
  },
  {
    what: "host ports",
    given: { spec: { hostNetwork: true, containers: [{ name: "c", image: "nginx:1.25", ports: [{ containerPort: 80 }] }] } },
    stored: {
      spec: spec({
        enableServiceLinks: true,
        hostNetwork: true,
        containers: [container({ ports: [{ containerPort: 80, protocol: "TCP", hostPort: 80 }] })],
      }),
    },
  },
];

/** Claim templates inside OpenKruise's workloads: no volume mode. */
export const claimTemplateCases: readonly DefaultsCase[] = [
  {
    what: "the phase",
    given: { metadata: { name: "d" }, spec: { resources: { requests: { storage: "20Gi" } } } },
    stored: { metadata: { name: "d" }, spec: { resources: { requests: { storage: "20Gi" } } }, status: { phase: "Pending" } },
  },
  {
    what: "amounts are rounded",
    given: { spec: { resources: { limits: { storage: "1500u" } } }, status: { phase: "Bound", capacity: { storage: "0.1m" } } },
    stored: { spec: { resources: { limits: { storage: "2m" } } }, status: { phase: "Bound", capacity: { storage: "1m" } } },
  },
];

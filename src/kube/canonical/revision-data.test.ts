/** Revision data and hashes seen from OpenKruise: template, data, collision count, hash of the data, revision hash. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { revisionHash, revisionName } from "./hash.ts";
import { podTemplateRevisionData, sidecarSetRevisionData, subsetTemplateRevisionData, templateOfRevisionData } from "./revision-data.ts";

const sample =
  '{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"sample"}},"spec":{"containers":[{"image":"nginx:alpine","imagePullPolicy":"IfNotPresent","name":"nginx","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}}}';

test.each<[string, string, string]>([
  [
    "html characters, quantities, zero values, empty lists",
    '{"metadata":{"labels":{"b":"2","a":"1"},"annotations":{"note":"a<b & c>d"}},"spec":{"initContainers":[],"nodeSelector":{},"containers":[{"name":"main","image":"r/app:v1","command":[],"stdin":false,"env":[{"name":"EMPTY","value":""},{"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}}],"resources":{"limits":{"cpu":"1000m","memory":"1024Mi"},"requests":{"cpu":"0.5"}},"livenessProbe":{"httpGet":{"path":"/","port":80},"initialDelaySeconds":0},"securityContext":{"privileged":false}}],"volumes":[{"name":"e","emptyDir":{}}],"hostNetwork":false,"enableServiceLinks":false}}',
    String.raw`{"spec":{"template":{"$patch":"replace","metadata":{"annotations":{"note":"a\u003cb \u0026 c\u003ed"},"creationTimestamp":null,"labels":{"a":"1","b":"2"}},"spec":{"containers":[{"env":[{"name":"EMPTY"},{"name":"CPU","valueFrom":{"resourceFieldRef":{"divisor":"0","resource":"limits.cpu"}}}],"image":"r/app:v1","livenessProbe":{"httpGet":{"path":"/","port":80}},"name":"main","resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}},"securityContext":{"privileged":false}}],"enableServiceLinks":false,"volumes":[{"emptyDir":{},"name":"e"}]}}}}`,
  ],
  [
    "pointers keep their zero, nested claims are completed",
    '{"metadata":{"labels":{}},"spec":{"containers":[{"name":"a","ports":[{"containerPort":80,"hostPort":0,"protocol":"TCP"}],"livenessProbe":{"grpc":{"port":9000}},"resources":{"limits":{}}}],"affinity":{},"hostPID":false,"shareProcessNamespace":false,"terminationGracePeriodSeconds":0,"priority":0,"volumes":[{"name":"v","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1024Mi"}},"dataSource":{"kind":"PersistentVolumeClaim","name":"x"}}}}}]}}',
    '{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null},"spec":{"affinity":{},"containers":[{"livenessProbe":{"grpc":{"port":9000,"service":null}},"name":"a","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{}}],"priority":0,"shareProcessNamespace":false,"terminationGracePeriodSeconds":0,"volumes":[{"ephemeral":{"volumeClaimTemplate":{"metadata":{"creationTimestamp":null},"spec":{"accessModes":["ReadWriteOnce"],"dataSource":{"apiGroup":null,"kind":"PersistentVolumeClaim","name":"x"},"resources":{"requests":{"storage":"1Gi"}}}}},"name":"v"}]}}}}',
  ],
])("%s", (_, template, data) => expect(podTemplateRevisionData(JSON.parse(template))).toBe(data));

test.each<[string, number | undefined, string]>([
  [sample, 0, "c6b87f574"],
  [sample, 1, "c6b87f575"],
  [sample, undefined, "765755ff5d"],
  [
    String.raw`{"spec":{"template":{"$patch":"replace","metadata":{"annotations":{"note":"a\u003cb \u0026 c\u003ed"},"creationTimestamp":null,"labels":{"a":"1","b":"2"}},"spec":{"containers":[{"env":[{"name":"EMPTY"},{"name":"CPU","valueFrom":{"resourceFieldRef":{"divisor":"0","resource":"limits.cpu"}}}],"image":"r/app:v1","livenessProbe":{"httpGet":{"path":"/","port":80}},"name":"main","resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}},"securityContext":{"privileged":false}}],"enableServiceLinks":false,"volumes":[{"emptyDir":{},"name":"e"}]}}}}`,
    0,
    "5d4786c668",
  ],
  [
    '{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null},"spec":{"affinity":{},"containers":[{"livenessProbe":{"grpc":{"port":9000,"service":null}},"name":"a","ports":[{"containerPort":80,"protocol":"TCP"}],"resources":{}}],"priority":0,"shareProcessNamespace":false,"terminationGracePeriodSeconds":0,"volumes":[{"ephemeral":{"volumeClaimTemplate":{"metadata":{"creationTimestamp":null},"spec":{"accessModes":["ReadWriteOnce"],"dataSource":{"apiGroup":null,"kind":"PersistentVolumeClaim","name":"x"},"resources":{"requests":{"storage":"1Gi"}}}}},"name":"v"}]}}}}',
    0,
    "7c559fb844",
  ],
  [
    '{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"sample"}},"spec":{"containers":[{"image":"nginx:1.25","imagePullPolicy":"Always","name":"nginx","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}}}',
    0,
    "5794d985c7",
  ],
  [
    '{"spec":{"template":{"$patch":"replace","metadata":{"creationTimestamp":null,"labels":{"app":"sample"}},"spec":{"containers":[{"image":"nginx:1.25","imagePullPolicy":"Always","name":"nginx","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],"dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},"terminationGracePeriodSeconds":30}}}}',
    1,
    "5794d985c6",
  ],
  [
    '{"spec":{"$patch":"replace","containers":[{"image":"busybox:1.36","name":"s","resources":{}}],"imagePullSecrets":null,"initContainers":null,"patchPodMetadata":null,"volumes":null}}',
    0,
    "67bf755d6b",
  ],
])("%.60s… with count %p is %s", (data, count, hash) => expect(revisionHash(data, count)).toBe(hash));

test("data that is read back and written again is the same", () => {
  for (const data of [sample]) expect(podTemplateRevisionData(templateOfRevisionData(JSON.parse(data)))).toBe(data);
});

test("formatting, key order and absent always-written fields make no new revision", () => {
  const stored = {
    spec: { template: { spec: { containers: [{ name: "a", resources: { limits: { cpu: "1000m" } } }] }, $patch: "replace" } },
  };
  const live = {
    metadata: { creationTimestamp: null, labels: {} },
    spec: { containers: [{ resources: { limits: { cpu: 1 } }, name: "a", env: [] }] },
  };
  expect(podTemplateRevisionData(templateOfRevisionData(stored))).toBe(podTemplateRevisionData(live));
});

test("a directive left in the template by a rollback is no content", () => {
  expect(podTemplateRevisionData({ $patch: "replace", spec: { containers: [] } })).toBe(
    podTemplateRevisionData({ spec: { containers: [] } }),
  );
});

test("what is neither metadata nor spec of pods makes no revision", () => {
  const bare = { metadata: { labels: { app: "web" } }, spec: { containers: [] } };
  const pasted = { ...bare, apiVersion: "v1", kind: "Pod", status: {}, note: 1, metadata: { ...bare.metadata, clusterName: "", note: 1 } };
  expect(podTemplateRevisionData(pasted)).toBe(podTemplateRevisionData(bare));
  expect(podTemplateRevisionData({ ...bare, metadata: "odd" })).toContain('"metadata":');
});

test("label keys that look like numbers keep their place", () => {
  const data = podTemplateRevisionData({ metadata: { labels: { "9": "x", "10": "y", a: "z" } }, spec: { containers: [] } });
  expect(data).toContain('"labels":{"10":"y","9":"x","a":"z"}');
});

test("fields newer than the tables are kept, in their place", () => {
  const data = podTemplateRevisionData({ spec: { containers: [{ name: "a", aNewField: { b: 1, a: [] } }] } });
  expect(data).toContain('"containers":[{"aNewField":{"a":[],"b":1},"name":"a","resources":{}}]');
});

test("a UnitedDeployment's template", () => {
  expect(
    subsetTemplateRevisionData({
      statefulSetTemplate: {
        spec: {
          serviceName: "s",
          selector: { matchLabels: { a: "b" } },
          template: { spec: { containers: [{ name: "c" }] } },
          volumeClaimTemplates: [{ metadata: { name: "v" }, spec: { resources: { requests: { storage: "1024Mi" } } } }],
        },
      },
    }),
  ).toBe(
    '{"spec":{"template":{"$patch":"replace","statefulSetTemplate":{"metadata":{"creationTimestamp":null},"spec":{"selector":{"matchLabels":{"a":"b"}},"serviceName":"s","template":{"metadata":{"creationTimestamp":null},"spec":{"containers":[{"name":"c","resources":{}}]}},"updateStrategy":{},"volumeClaimTemplates":[{"metadata":{"creationTimestamp":null,"name":"v"},"spec":{"resources":{"requests":{"storage":"1Gi"}}},"status":{}}]}}}}}',
  );
  expect(subsetTemplateRevisionData({ cloneSetTemplate: { spec: {} } })).toBe(
    '{"spec":{"template":{"$patch":"replace","cloneSetTemplate":{"metadata":{"creationTimestamp":null},"spec":{"scaleStrategy":{},"selector":null,"template":{"metadata":{"creationTimestamp":null},"spec":{"containers":null}},"updateStrategy":{}}}}}}',
  );
});

test("a SidecarSet's absent lists are null", () => {
  expect(sidecarSetRevisionData({ containers: [{ name: "s", image: "busybox:1.36" }], volumes: [] })).toBe(
    '{"spec":{"$patch":"replace","containers":[{"image":"busybox:1.36","name":"s","resources":{},"shareVolumePolicy":{},"upgradeStrategy":{}}],"imagePullSecrets":null,"initContainers":null,"patchPodMetadata":null,"volumes":null}}',
  );
});

test("a revision's name leaves room for the hash", () => {
  expect(revisionName("sample", "c6b87f574")).toBe("sample-c6b87f574");
  expect(revisionName("x".repeat(253), "c6b87f574")).toBe(`${"x".repeat(223)}-c6b87f574`);
});

test("nothing in a template makes it throw, and its data is stable", () =>
  fc.assert(
    fc.property(
      fc.record({
        metadata: fc.jsonValue(),
        spec: fc.dictionary(fc.constantFrom("containers", "volumes", "nodeName", "overhead", "zzz", "priority"), fc.jsonValue()),
      }),
      (template) => {
        const once = podTemplateRevisionData(template);
        expect(podTemplateRevisionData(templateOfRevisionData(JSON.parse(once)))).toBe(once);
      },
    ),
  ));

/**
 * How many pods a second the pod webhook admits when there is nothing to do, and what that costs: `bun test/bench/admission.ts`.
 * The server runs in a process of its own, so that its CPU time is its own; the load is 16 kept connections, as one API server has.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeCertificateFiles } from "../../src/admission/file-writer.ts";
import { bodyLimits, createHandler } from "../../src/admission/handler.ts";
import { issueCertificates } from "../../src/admission/issue.ts";
import { silentMetrics } from "../../src/admission/metrics.ts";
import { podWebhooks } from "../../src/admission/pod.ts";
import { createAdmissionServer, type Serve } from "../../src/admission/server.ts";
import { contextWith } from "../../src/admission/testing/fixtures.ts";
import { podMutationOrder } from "../../src/admission/webhook.ts";
import { silentLogger } from "../../src/env/log.ts";
import { serve } from "../../src/env/network.ts";
import { steerConnections } from "../../src/env/steering.ts";
import { systemEnv } from "../../src/env/system.ts";

const host = "kruise-webhook-service.kruise-system.svc";
const connections = 16;
const warmUpRequests = 10_000;
const requests = 60_000;

function serveAdmission(directory: string): void {
  const env = systemEnv(silentLogger, new AbortController().signal);
  const mutations = Object.entries(podMutationOrder).map(([name, order]) => ({ name, order, mutate: <T>(pod: T) => pod }));
  const handler = createHandler({
    env,
    webhooks: podWebhooks({ mutations: mutations as never, guards: [], installNamespace: "kruise-system" }),
    converter: () => ({ ok: false, message: "no kinds" }),
    context: contextWith(),
    metrics: silentMetrics,
  });
  const bodyBytesMax = bodyLimits.conversionBytesMax;
  const server = createAdmissionServer({ env, serve: serve as Serve, steer: steerConnections, port: 0, handler, bodyBytesMax });
  const text = (name: string) => readFileSync(join(directory, name), "utf8");
  server.use({ certificate: text("tls.crt"), key: text("tls.key") });
  process.send?.({ port: server.port });
  let before = process.cpuUsage();
  process.on("message", () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    process.send?.({ cpuSeconds: (user + system) / 1e6 });
  });
  process.on("disconnect", () => process.exit(0));
}

interface Answer {
  port: number;
  cpuSeconds: number;
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "kruiser-bench-"));
  const certificates = await issueCertificates(host, Date.now());
  await writeCertificateFiles(directory, certificates, "bench");
  let answered: (answer: Answer) => void = () => {};
  const next = () => new Promise<Answer>((resolve) => (answered = resolve));
  const started = next();
  const child = Bun.spawn([process.execPath, import.meta.path, "serve", directory], {
    stdio: ["ignore", "inherit", "inherit"],
    ipc: (message) => answered(message as Answer),
  });
  try {
    const { port } = await started;
    const ask = () => {
      const answer = next();
      child.send("usage");
      return answer;
    };
    await load(port, certificates.caCertificate, warmUpRequests);
    await ask();
    const result = await load(port, certificates.caCertificate, requests);
    const { cpuSeconds } = await ask();
    console.log(
      JSON.stringify({
        requestsPerSecond: Math.round(result.perSecond),
        p50Ms: round(result.p50Ms),
        p99Ms: round(result.p99Ms),
        cpuSecondsPer1000: round((cpuSeconds / requests) * 1000),
        bodyBytes: review.length,
        connections,
        requests,
      }),
    );
  } finally {
    child.kill();
    await child.exited;
    if (existsSync(directory)) rmSync(directory, { recursive: true });
  }
}

const round = (value: number) => Math.round(value * 1000) / 1000;

/** A pod of a ReplicaSet as the API server sends it, managedFields and all. */
const review = JSON.stringify({
  kind: "AdmissionReview",
  apiVersion: "admission.k8s.io/v1",
  request: {
    uid: "705ab4f5-6393-11e8-b7cc-42010a800002",
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    requestKind: { group: "", version: "v1", kind: "Pod" },
    requestResource: { group: "", version: "v1", resource: "pods" },
    namespace: "shop",
    operation: "CREATE",
    userInfo: {
      username: "system:serviceaccount:kube-system:replicaset-controller",
      uid: "3f4a",
      groups: ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
    },
    object: {
      kind: "Pod",
      apiVersion: "v1",
      metadata: {
        generateName: "web-5d59d67564-",
        namespace: "shop",
        creationTimestamp: null,
        labels: { app: "web", "pod-template-hash": "5d59d67564" },
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-5d59d67564", uid: "a1", controller: true, blockOwnerDeletion: true },
        ],
        managedFields: [
          {
            manager: "kube-controller-manager",
            operation: "Update",
            apiVersion: "v1",
            time: "2025-01-01T00:00:00Z",
            fieldsType: "FieldsV1",
            fieldsV1: {
              "f:metadata": { "f:generateName": {}, "f:labels": { ".": {}, "f:app": {}, "f:pod-template-hash": {} } },
              "f:spec": {
                "f:containers": {
                  'k:{"name":"main"}': { ".": {}, "f:image": {}, "f:name": {}, "f:resources": { ".": {}, "f:limits": {} } },
                },
              },
            },
          },
        ],
      },
      spec: {
        volumes: [
          {
            name: "kube-api-access-x7k2p",
            projected: {
              sources: [
                { serviceAccountToken: { expirationSeconds: 3607, path: "token" } },
                { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
              ],
              defaultMode: 420,
            },
          },
        ],
        containers: [
          {
            name: "main",
            image: "registry.example/web:1.25",
            env: [{ name: "MODE", value: "production" }],
            resources: { limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "100m", memory: "256Mi" } },
            volumeMounts: [{ name: "kube-api-access-x7k2p", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" }],
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "File",
            imagePullPolicy: "IfNotPresent",
          },
        ],
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        dnsPolicy: "ClusterFirst",
        serviceAccountName: "default",
        serviceAccount: "default",
        securityContext: {},
        schedulerName: "default-scheduler",
        tolerations: ["not-ready", "unreachable"].map((condition) => ({
          key: `node.kubernetes.io/${condition}`,
          operator: "Exists",
          effect: "NoExecute",
          tolerationSeconds: 300,
        })),
        priority: 0,
        enableServiceLinks: true,
        preemptionPolicy: "PreemptLowerPriority",
      },
      status: {},
    },
    oldObject: null,
    dryRun: false,
    options: { kind: "CreateOptions", apiVersion: "meta.k8s.io/v1" },
  },
});
const wire = `POST /mutate-pod?timeout=10s HTTP/1.1\r\nHost: ${host}:443\r\nUser-Agent: kube-apiserver-admission\r\nContent-Length: ${review.length}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n${review}`;

/** Each connection asks again as soon as it is answered. Written on bare sockets: the client must not be the bottleneck. */
async function load(port: number, ca: string, count: number): Promise<{ perSecond: number; p50Ms: number; p99Ms: number }> {
  const latencies: number[] = [];
  let left = count;
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: connections }, () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let sentMs = 0;
      let received = "";
      const send = (socket: { write(text: string): unknown; end(): unknown }) => {
        if (left <= 0) {
          socket.end();
          return resolve();
        }
        left -= 1;
        sentMs = performance.now();
        socket.write(wire);
      };
      Bun.connect({
        hostname: "localhost",
        port,
        tls: { ca, serverName: host },
        socket: {
          open() {},
          handshake: send,
          data(socket, data) {
            received += data.toString("latin1");
            const headEnd = received.indexOf("\r\n\r\n");
            const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? Number.NaN);
            if (headEnd < 0 || received.length < headEnd + 4 + length) return;
            if (!received.includes('"allowed":true')) return reject(new Error(received));
            received = "";
            latencies.push(performance.now() - sentMs);
            send(socket);
          },
          close: () => reject(new Error("the server closed the connection")),
          error: (_, error) => reject(error),
        },
      }).catch(reject);
      return promise;
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return { perSecond: count / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

if (process.argv[2] === "serve") serveAdmission(process.argv[3] ?? "");
else await measure();

/** Pods that are meant to finish, whose containers end when the test says so: `const job = await Job.start(rig, …)`, `await job.end({ main: 0 })`. */
import type { ContainerRecreateRequest } from "../../src/api/containerrecreaterequest.ts";
import type { EnvVar, Pod } from "../../src/kube/types.ts";
import { GiveUp, type Rig, waitFor } from "../rig/index.ts";
import { Yard } from "./guards.ts";

export const ends: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT", value: "true" };
export const ignored: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_IGNORE_EXIT_CODE", value: "true" };
export const byImage: EnvVar = { name: "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT_WITH_IMAGE", value: "quick:1" };

export interface JobParts {
  /** Default "Never". */
  readonly restartPolicy?: string;
  /** Where nobody reports on it, as on a node that is not there, this does. */
  readonly nodeName?: string;
  /** The variables of each. */
  readonly containers: Readonly<Record<string, readonly EnvVar[]>>;
}

export class Job {
  private constructor(
    readonly yard: Yard,
    readonly pod: Pod,
  ) {}

  static async start(rig: Rig, { restartPolicy = "Never", nodeName, containers }: JobParts): Promise<Job> {
    const yard = await Yard.open(rig);
    const pod = await rig.admin.create<Pod>(yard.pods(), {
      metadata: { name: "job" },
      spec: {
        restartPolicy,
        ...(nodeName === undefined ? {} : { nodeName }),
        containers: Object.entries(containers).map(([name, env]) => ({ name, image: `${name}:v1`, env })),
      },
    });
    const job = new Job(yard, pod);
    const isSimulated = nodeName === undefined || rig.kwok.nodeNames.includes(nodeName);
    if (!isSimulated) await job.run();
    await job.until("to run", ({ status }) => status?.phase === "Running");
    return job;
  }

  async now(): Promise<Pod> {
    return this.yard.admin.must<Pod>("GET", this.yard.pods("job"));
  }

  until(what: string, holds: (pod: Pod) => boolean): Promise<Pod> {
    return waitFor(`the pod in ${this.yard.namespace}: ${what}`, async () => {
      const pod = await this.now();
      return holds(pod) && pod;
    });
  }

  /** In one report of the kubelet's, as it were. @param exitCodes by container */
  async end(exitCodes: Readonly<Record<string, number>>): Promise<void> {
    const at = now();
    await waitFor("the report to be taken", async () => {
      const { metadata, status } = await this.now();
      const containerStatuses = status?.containerStatuses?.map((each) => {
        const exitCode = exitCodes[each.name];
        if (exitCode === undefined) return each;
        const reason = exitCode === 0 ? "Completed" : "Error";
        return { ...each, ready: false, started: false, state: { terminated: { exitCode, reason, startedAt: at, finishedAt: at } } };
      });
      return this.report({ containerStatuses }, metadata.resourceVersion);
    });
  }

  async request(): Promise<ContainerRecreateRequest | undefined> {
    const { namespace } = this.yard;
    const path = `/apis/apps.kruise.io/v1beta1/namespaces/${namespace}/containerrecreaterequests`;
    return this.yard.admin.get<ContainerRecreateRequest>(`${path}/sidecar-termination-${this.pod.metadata.uid}`);
  }

  /** Names of the containers that are to be stopped, once somebody asks for it. */
  async asked(): Promise<readonly string[]> {
    const request = await waitFor(`the request in ${this.yard.namespace}`, () => this.request());
    return request.spec.containers.map(({ name }) => name);
  }

  private async run(): Promise<void> {
    const containerStatuses = this.pod.spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: `${image}@sha256:0`,
      containerID: `containerd://${name}`,
      ready: true,
      started: true,
      restartCount: 0,
      state: { running: { startedAt: now() } },
    }));
    await this.report({ phase: "Running", containerStatuses });
  }

  /** Statuses of containers are written as a whole. @returns false where the pod has changed since that version */
  private async report(status: object, resourceVersion?: string): Promise<boolean> {
    const path = `${this.yard.pods("job")}/status`;
    const answer = await this.yard.admin.request("PATCH", path, { metadata: { resourceVersion }, status }, "merge");
    if (answer.status !== 200 && answer.status !== 409) throw new GiveUp(`PATCH ${path}: ${JSON.stringify(answer.body)}`);
    return answer.status === 200;
  }
}

const now = (): string => new Date().toISOString().replace(/\.\d+/, "");

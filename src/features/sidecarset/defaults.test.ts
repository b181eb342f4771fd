import { describe, expect, test } from "bun:test";
import { annotation } from "../../api/names.ts";
import { applyJsonPatch, jsonPatchOf } from "../../kube/patch/json-patch.ts";
import { filled, given, type Loose, one } from "./testing/admission.ts";

describe("filling in", () => {
  test("2: a minimal SidecarSet", () => {
    for (const version of ["v1alpha1", "v1beta1"]) {
      const set = filled(given(), version);
      expect(set.spec).toMatchObject({
        updateStrategy: { type: "RollingUpdate", maxUnavailable: 1, partition: 0 },
        revisionHistoryLimit: 10,
        containers: [
          {
            podInjectPolicy: "BeforeAppContainer",
            upgradeStrategy: { upgradeType: "ColdUpgrade" },
            shareVolumePolicy: { type: "disabled" },
            imagePullPolicy: "IfNotPresent",
          },
        ],
      });
      for (const key of [annotation.sidecarSetHash, annotation.sidecarSetHashWithoutImage])
        expect(set.metadata.annotations?.[key]).toHaveLength(64);
    }
  });

  test("everything else that is filled in", () => {
    const set = filled(
      given({
        initContainers: [{ name: "init", image: "i" }],
        containers: [
          {
            ...one,
            image: "log",
            ports: [{ containerPort: 80 }],
            livenessProbe: { httpGet: { port: 80 } },
            startupProbe: { httpGet: { port: 80 } },
            transferEnv: [{ sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['x']" } } }],
            resources: { limits: { cpu: "0.0001" } },
          },
        ],
        volumes: [{ name: "a" }, { name: "b", configMap: { name: "c" } }, { name: "h", hostPath: { path: "/" } }],
        patchPodMetadata: [{ annotations: { a: "b" } }],
        injectionStrategy: { revision: { customVersion: "v1" } },
      }),
    );
    expect(set.spec).toMatchObject({
      initContainers: [{ podInjectPolicy: "AfterAppContainer" }],
      volumes: [{ emptyDir: {} }, { configMap: { defaultMode: 420 } }, { hostPath: { type: "" } }],
      patchPodMetadata: [{ patchPolicy: "Retain" }],
      injectionStrategy: { revision: { policy: "Always" } },
    });
    const [container] = set.spec.containers!;
    expect(container).toMatchObject({
      imagePullPolicy: "Always",
      ports: [{ protocol: "TCP" }],
      livenessProbe: {
        timeoutSeconds: 1,
        periodSeconds: 10,
        successThreshold: 1,
        failureThreshold: 3,
        httpGet: { path: "/", scheme: "HTTP" },
      },
      transferEnv: [{ sourceContainerNameFrom: { fieldRef: { apiVersion: "v1" } } }],
      resources: { limits: { cpu: "1m" } },
    });
    expect(container!.startupProbe).toEqual({ successThreshold: 1, httpGet: { port: 80, path: "/", scheme: "HTTP" } });
    expect(container).not.toHaveProperty("shareVolumeDevicePolicy");
    expect(set.spec.injectionStrategy).not.toHaveProperty("paused");
  });

  test("hashes of the user's are replaced, and filling in twice changes nothing", () => {
    const set = filled(given({}, { annotations: { [annotation.sidecarSetHash]: "mine", other: "kept" } }));
    expect(set.metadata.annotations).toMatchObject({ [annotation.sidecarSetHash]: expect.stringMatching(/^.{64}$/), other: "kept" });
    expect(filled(set as unknown as Loose)).toEqual(set);
  });

  test("the patch leads there", () => {
    const object = given();
    expect(applyJsonPatch(object, jsonPatchOf(object, filled(object)))).toEqual({ ok: true, value: filled(object) });
  });
});

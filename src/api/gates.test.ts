import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type GateName, gateFacts, gateNames, gatesWith, parseGates } from "./gates.ts";

function on(flag: string, gate: GateName, customResourceEnable?: string): boolean {
  const parsed = parseGates(flag, customResourceEnable);
  if (!parsed.ok) throw new Error(parsed.problems.join("; "));
  return parsed.gates.enabled(gate);
}

test.each<[string, GateName, boolean, string]>([
  ["", "PodWebhook", true, "its default"],
  ["", "ImagePullJobGate", false, "its default"],
  ["ImagePullJobGate=true", "ImagePullJobGate", true, "named"],
  [" ImagePullJobGate = T , ", "ImagePullJobGate", true, "spaces, empty entries and short words are fine"],
  ["ImagePullJobGate=true,ImagePullJobGate=false", "ImagePullJobGate", false, "the later entry wins"],
  ["AllAlpha=true", "CloneSetShortHash", true, "a stage sets its gates"],
  ["AllAlpha=true", "ResourceDistributionGate", false, "and no others"],
  ["CloneSetShortHash=false,AllAlpha=true", "CloneSetShortHash", false, "order does not matter: a name beats its stage"],
  ["AllBeta=false", "PodIndexLabel", false, "a stage can be turned off"],
  ["AllAlpha=true,AllBeta=true,EnableExternalCerts=false", "EnableExternalCerts", false, "the development setting"],
  ["AllAlpha=true,AllBeta=true,EnableExternalCerts=false", "ImagePullJobGate", true, "the development setting"],
  ["PreDownloadImageForInPlaceUpdate=true", "ImagePullJobGate", true, "pre-download needs pull jobs"],
  ["PreDownloadImageForDaemonSetUpdate=true,ImagePullJobGate=false", "ImagePullJobGate", true, "even against the flag"],
  ["KruiseDaemon=false,ImagePullJobGate=true", "ImagePullJobGate", false, "no daemon, no pulls"],
  ["KruiseDaemon=false,PreDownloadImageForInPlaceUpdate=true", "ImagePullJobGate", false, "the daemon is asked first"],
  ["PodWebhook=false,WorkloadSpread=true", "WorkloadSpread", false, "needs the webhook"],
  ["PodWebhook=false,EnhancedLivenessProbe=true", "EnhancedLivenessProbe", false, "needs both"],
  ["KruiseDaemon=false,EnhancedLivenessProbe=true", "EnhancedLivenessProbe", false, "needs both"],
  ["DeletionProtectionForCRDCascadingGate=true", "DeletionProtectionForCRDCascadingGate", false, "deletion protection is off"],
  ["ResourcesDeletionProtection=true,DeletionProtectionForCRDCascadingGate=true", "DeletionProtectionForCRDCascadingGate", true, "both on"],
  ["EnhancedLivenessProbeGate=true", "EnhancedLivenessProbe", true, "as the documentation spells it"],
  ["ForceDeleteTimeoutExpectationFeatureGate=true", "ForceDeleteTimeoutExpectationGate", true, "as the documentation spells it"],
])("%p makes %s %p: %s", (flag, gate, expected) => {
  expect(on(flag, gate)).toBe(expected);
});

test.each([
  ["NoSuchGate=true", "unknown feature gate NoSuchGate"],
  ["ImagePullGate=true", "unknown feature gate ImagePullGate: did you mean ImagePullJobGate?"],
  ["Constructor=true,toString=true", "unknown feature gate Constructor; unknown feature gate toString"],
  ["PodWebhook", 'feature gate PodWebhook: write PodWebhook=true or PodWebhook=false instead of "PodWebhook"'],
  ["AllAlpha=yes", 'feature gate AllAlpha: write AllAlpha=true or AllAlpha=false instead of "AllAlpha=yes"'],
])("%p is refused: %s", (flag, message) => {
  const parsed = parseGates(flag);
  expect(parsed.ok ? "" : parsed.problems.join("; ")).toBe(message);
});

describe("CUSTOM_RESOURCE_ENABLE", () => {
  test.each([
    ["", "", true, "unset"],
    ["CloneSet,SidecarSet", "", true, "SidecarSet needs the pod webhook"],
    ["CloneSet", "", false, "nothing that needs it"],
    ["CloneSet", "PodWebhook=true", true, "only the default changes"],
    ["CloneSet", "AllBeta=true", true, "only the default changes"],
  ])("%p with flag %p makes PodWebhook %p: %s", (kinds, flag, expected) => {
    expect(on(flag, "PodWebhook", kinds)).toBe(expected);
  });
});

test("an overridden value is told", () => {
  const parsed = parseGates("KruiseDaemon=false,ImagePullJobGate=true");
  expect(parsed.ok && parsed.notes).toEqual(["feature gate ImagePullJobGate=true is overridden: it needs KruiseDaemon"]);
});

test("any text is parsed or refused, and a gate that needs another is never on without it", () => {
  const entry = fc.oneof(
    fc.string(),
    fc.tuple(fc.constantFrom("AllAlpha", "AllBeta", ...gateNames), fc.boolean()).map(([name, value]) => `${name}=${value}`),
  );
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const parsed = parseGates(entries.join(","));
      if (!parsed.ok) return parsed.problems.length > 0;
      return gateNames.every(
        (gate) => !parsed.gates.enabled(gate) || (gateFacts[gate].needs ?? []).every((needed) => parsed.gates.enabled(needed as GateName)),
      );
    }),
  );
});

test("every need names a gate", () => {
  for (const gate of gateNames) for (const needed of gateFacts[gate].needs ?? []) expect(gateNames).toContain(needed as GateName);
});

test("gates for tests: defaults, exceptions and dependencies", () => {
  expect(gatesWith().enabled("KruiseDaemon")).toBe(true);
  expect(gatesWith({ KruiseDaemon: false, ImagePullJobGate: true }).enabled("ImagePullJobGate")).toBe(false);
});

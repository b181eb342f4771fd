/** Feature gates: names, defaults and stages as OpenKruise 1.9 has them, how the flag is read, and which gates force others. */

interface GateFacts {
  readonly default: boolean;
  readonly stage: "alpha" | "beta";
  /** Off whenever one of these is off, whatever the flag says. */
  readonly needs?: readonly string[];
}

const alpha = (...needs: string[]): GateFacts => ({ default: false, stage: "alpha", needs });
const beta = (byDefault: boolean, ...needs: string[]): GateFacts => ({ default: byDefault, stage: "beta", needs });

const table = {
  PodWebhook: beta(true),
  KruiseDaemon: beta(true),
  DaemonWatchingPod: beta(true, "KruiseDaemon"),
  CloneSetShortHash: alpha(),
  KruisePodReadinessGate: alpha("PodWebhook"),
  PreDownloadImageForInPlaceUpdate: alpha("KruiseDaemon"),
  PreDownloadImageForDaemonSetUpdate: alpha("KruiseDaemon"),
  CloneSetPartitionRollback: alpha(),
  ResourcesDeletionProtection: beta(false),
  DeletionProtectionForCRDCascadingGate: alpha("ResourcesDeletionProtection"),
  PodUnavailableBudgetDeleteGate: beta(true, "PodWebhook"),
  PodUnavailableBudgetUpdateGate: alpha("PodWebhook"),
  WorkloadSpread: beta(true, "PodWebhook"),
  TemplateNoDefaults: alpha(),
  InPlaceUpdateEnvFromMetadata: beta(true, "KruiseDaemon"),
  StatefulSetAutoDeletePVC: beta(true),
  SidecarSetPatchPodMetadataDefaultsAllowed: alpha("PodWebhook"),
  SidecarTerminator: alpha("KruiseDaemon"),
  PodProbeMarkerGate: beta(true, "KruiseDaemon"),
  EnablePodProbeMarkerOnServerless: alpha("PodWebhook"),
  EnhancedLivenessProbe: alpha("PodWebhook", "KruiseDaemon"),
  CloneSetEventHandlerOptimization: alpha(),
  PreparingUpdateAsUpdate: alpha(),
  ImagePullJobGate: alpha("KruiseDaemon"),
  ResourceDistributionGate: beta(false),
  RecreatePodWhenChangeVCTInCloneSetGate: alpha(),
  StatefulSetStartOrdinal: alpha(),
  PodIndexLabel: beta(true),
  EnableExternalCerts: alpha(),
  StatefulSetAutoResizePVCGate: alpha(),
  ForceDeleteTimeoutExpectationGate: alpha(),
  InPlaceWorkloadVerticalScaling: alpha(),
  InPlacePodVerticalScaling: alpha(),
  EnableSortSidecarContainerByName: alpha(),
  DefaultHostNetworkHostPortsInPodTemplates: alpha(),
  DaemonSetPruneIneligibleNodes: alpha(),
} as const satisfies Record<string, GateFacts>;

export type GateName = keyof typeof table;
export const gateNames = Object.keys(table) as readonly GateName[];
export const gateFacts: Readonly<Record<GateName, GateFacts>> = table;

export interface Gates {
  enabled(name: GateName): boolean;
}

export type GateValues = Readonly<Record<GateName, boolean>>;

/** `problems`: one per bad entry of the flag. `notes`: what the user should know, such as a value that a dependency overrides. */
export type ParsedGates =
  | { readonly ok: true; readonly gates: Gates; readonly values: GateValues; readonly notes: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] };

/** Names that OpenKruise's documentation spells differently from its code. */
const documentedAs: Readonly<Record<string, GateName>> = {
  EnhancedLivenessProbeGate: "EnhancedLivenessProbe",
  ForceDeleteTimeoutExpectationFeatureGate: "ForceDeleteTimeoutExpectationGate",
};
const stageWords = { AllAlpha: "alpha", AllBeta: "beta" } as const;
type StageWord = keyof typeof stageWords;

const booleans: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(["1", "t", "T", "true", "True", "TRUE"].map((word) => [word, true])),
  ...Object.fromEntries(["0", "f", "F", "false", "False", "FALSE"].map((word) => [word, false])),
};

/** Gates with these values and the defaults for all others, dependencies applied. */
export function gatesWith(explicit: Partial<Record<GateName, boolean>> = {}): Gates {
  return gatesOf(applyDependencies({ ...defaults(), ...explicit }));
}

/**
 * Reads the value of `--feature-gates`.
 * @param flag "A=true,B=false", in any order; a later entry for the same gate wins. `AllAlpha` and `AllBeta` set the gates of that stage
 *   that the flag does not name.
 * @param customResourceEnable the variable CUSTOM_RESOURCE_ENABLE: a list of kinds without SidecarSet turns PodWebhook's default off
 */
export function parseGates(flag: string, customResourceEnable = ""): ParsedGates {
  const entries = flag.split(",").flatMap((entry) => (entry.trim() === "" ? [] : [readEntry(entry.trim())]));
  const problems = entries.flatMap((entry) => ("problem" in entry ? [entry.problem] : []));
  if (problems.length > 0) return { ok: false, problems };
  const wanted = { ...defaults() };
  if (withoutSidecarSet(customResourceEnable)) wanted.PodWebhook = false;
  for (const entry of entries) {
    if (!("stage" in entry)) continue;
    for (const gate of gateNames) if (gateFacts[gate].stage === entry.stage) wanted[gate] = entry.value;
  }
  const notes: string[] = [];
  const named = new Set<GateName>();
  for (const entry of entries) {
    if (!("gate" in entry)) continue;
    wanted[entry.gate] = entry.value;
    named.add(entry.gate);
    if (entry.gate !== entry.name) notes.push(`feature gate ${entry.name} is called ${entry.gate}: taken as ${entry.gate}=${entry.value}`);
  }
  const values = applyDependencies(wanted);
  for (const gate of named) {
    if (values[gate] !== wanted[gate]) notes.push(`feature gate ${gate}=${wanted[gate]} is overridden: ${whyOverridden(gate, values)}`);
  }
  return { ok: true, gates: gatesOf(values), values, notes };
}

type Entry =
  | { readonly name: string; readonly gate: GateName; readonly value: boolean }
  | { readonly stage: "alpha" | "beta"; readonly value: boolean }
  | { readonly problem: string };

function readEntry(text: string): Entry {
  const equals = text.indexOf("=");
  const name = (equals < 0 ? text : text.slice(0, equals)).trim();
  const word = equals < 0 ? "" : text.slice(equals + 1).trim();
  const stage = isStageWord(name) ? stageWords[name] : undefined;
  const gate = Object.hasOwn(documentedAs, name) ? documentedAs[name] : isGateName(name) ? name : undefined;
  if (stage === undefined && gate === undefined) return { problem: unknownGate(name) };
  const value = Object.hasOwn(booleans, word) ? booleans[word] : undefined;
  if (value === undefined) return { problem: `feature gate ${name}: write ${name}=true or ${name}=false instead of "${text}"` };
  if (stage !== undefined) return { stage, value };
  return { name, gate: gate as GateName, value };
}

function defaults(): Record<GateName, boolean> {
  return Object.fromEntries(gateNames.map((gate) => [gate, gateFacts[gate].default])) as Record<GateName, boolean>;
}

function gatesOf(values: GateValues): Gates {
  return { enabled: (name) => values[name] };
}

/** PodWebhook, then KruiseDaemon, then pre-download, then deletion protection: so KruiseDaemon=false beats a pre-download gate. */
function applyDependencies(wanted: GateValues): GateValues {
  const values = { ...wanted };
  const turnOffWithout = (needed: GateName) => {
    if (values[needed]) return;
    for (const gate of gateNames) if (gateFacts[gate].needs?.includes(needed)) values[gate] = false;
  };
  turnOffWithout("PodWebhook");
  turnOffWithout("KruiseDaemon");
  if (preDownloads(values)) values.ImagePullJobGate = true;
  turnOffWithout("ResourcesDeletionProtection");
  return values;
}

function preDownloads(values: GateValues): boolean {
  return values.PreDownloadImageForInPlaceUpdate || values.PreDownloadImageForDaemonSetUpdate;
}

function whyOverridden(gate: GateName, values: GateValues): string {
  if (values[gate]) return "image pre-download needs it";
  const missing = gateFacts[gate].needs?.filter((needed) => isGateName(needed) && !values[needed]) ?? [];
  return `it needs ${missing.join(" and ")}`;
}

function withoutSidecarSet(kinds: string): boolean {
  return kinds !== "" && !kinds.split(",").some((kind) => kind.trim() === "SidecarSet");
}

function isGateName(name: string): name is GateName {
  return Object.hasOwn(table, name);
}

function isStageWord(name: string): name is StageWord {
  return Object.hasOwn(stageWords, name);
}

const suggestionsMax = 3;

function unknownGate(name: string): string {
  const wanted = name.toLowerCase();
  const near = gateNames
    .map((gate) => ({ gate, distance: distanceBetween(wanted, gate.toLowerCase()) }))
    .filter(({ gate, distance }) => distance <= Math.max(3, gate.length / 3) || (wanted.length > 3 && gate.toLowerCase().includes(wanted)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, suggestionsMax)
    .map(({ gate }) => gate);
  return near.length > 0 ? `unknown feature gate ${name}: did you mean ${near.join(" or ")}?` : `unknown feature gate ${name}`;
}

/** Levenshtein: how many letters to insert, drop or replace. */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Which gates something needs, found by asking it; and the same resolution of `featureGates` that the binaries make, as a Helm template. */
import { type GateName, gateFacts, gateNames } from "../../../src/api/gates.ts";
import { defaultSettings, type Settings } from "../../../src/api/settings.ts";

/**
 * The gates without each of which `active` answers no, everything else being on. What needs "one of two" gates is taken as needing none:
 * too much is installed then, never too little.
 */
export function gatesNeeded(active: (settings: Settings) => boolean): GateName[] {
  const withAllBut = (off?: GateName) => settingsWith((gate) => gate !== off);
  if (!active(withAllBut())) return [];
  return gateNames.filter((gate) => !active(withAllBut(gate)));
}

const settingsWith = (enabled: (gate: GateName) => boolean) => defaultSettings({ gates: { enabled } });

export const gateCondition = (gate: GateName) => `eq (include "kruise.gate" (list . "${gate}")) "true"`;

/** `kruise.gates`: all gates as JSON; `kruise.gate`: one of them, "true" or "false". */
export function gatesTemplate(): string {
  const facts = Object.fromEntries(
    gateNames.map((gate) => [gate, { on: gateFacts[gate].default, stage: gateFacts[gate].stage, needs: gateFacts[gate].needs ?? [] }]),
  );
  const needing = (needed: string) =>
    `{{- if not (get $values "${needed}") }}\n{{- range $name, $fact := $facts }}{{- if has "${needed}" $fact.needs }}{{- $_ := set $values $name false }}{{- end }}{{- end }}\n{{- end }}\n`;
  return `{{- define "kruise.gates" -}}
{{- $facts := fromJson \`${JSON.stringify(facts)}\` -}}
{{- $documentedAs := dict "EnhancedLivenessProbeGate" "EnhancedLivenessProbe" "ForceDeleteTimeoutExpectationFeatureGate" "ForceDeleteTimeoutExpectationGate" -}}
{{- $stages := dict "AllAlpha" "alpha" "AllBeta" "beta" -}}
{{- $yes := list "1" "t" "T" "true" "True" "TRUE" -}}
{{- $values := dict -}}
{{- range $name, $fact := $facts }}{{- $_ := set $values $name $fact.on }}{{- end }}
{{- $named := dict -}}
{{- range $entry := splitList "," .Values.featureGates }}
{{- $parts := splitn "=" 2 (trim $entry) }}
{{- $name := trim $parts._0 }}
{{- if $name }}
{{- $on := has (trim (default "" $parts._1)) $yes }}
{{- if hasKey $stages $name }}
{{- range $gate, $fact := $facts }}{{- if eq $fact.stage (get $stages $name) }}{{- $_ := set $values $gate $on }}{{- end }}{{- end }}
{{- else }}
{{- $gate := default $name (get $documentedAs $name) }}
{{- if not (hasKey $facts $gate) }}{{- fail (printf "featureGates: unknown feature gate %s" $name) }}{{- end }}
{{- $_ := set $named $gate $on }}
{{- end }}
{{- end }}
{{- end }}
{{- range $gate, $on := $named }}{{- $_ := set $values $gate $on }}{{- end }}
${needing("PodWebhook")}${needing("KruiseDaemon")}{{- if or (get $values "PreDownloadImageForInPlaceUpdate") (get $values "PreDownloadImageForDaemonSetUpdate") }}{{- $_ := set $values "ImagePullJobGate" true }}{{- end }}
${needing("ResourcesDeletionProtection")}{{- $values | toJson -}}
{{- end -}}

{{- define "kruise.gate" -}}
{{- $values := include "kruise.gates" (index . 0) | fromJson -}}
{{- get $values (index . 1) -}}
{{- end -}}
`;
}

/**
 * How simulated pods and nodes behave, as kwok stages. A jq program, `stage`, names the one stage a pod is due for; each stage matches on that name, so
 * no two ever compete. Statuses follow the kubelet's: conditions that others wrote stay, `Ready` is containers ready and every readiness gate True, a
 * changed image restarts the container with a new imageID and containerID, and lastTransitionTime moves only with the status.
 *
 * Annotations on a pod steer it (see `podAnnotations`), and so does the tag of an image: `:bad…` cannot be pulled, `:broken…` crashes at once.
 */

export const podAnnotations = {
  /** "true", or names of containers separated by commas: they run, but do not become ready (or stop being ready). */
  neverReady: "kruiser.test/never-ready",
  /** Seconds from a container's start to its readiness. Default 0. */
  readyDelaySeconds: "kruiser.test/ready-delay-seconds",
  /** Seconds from scheduling to the first start. Default 0. */
  startDelaySeconds: "kruiser.test/start-delay-seconds",
  /** Seconds from the deletion request to the pod's end. Default 0. */
  deleteDelaySeconds: "kruiser.test/delete-delay-seconds",
  /** The main containers of a pod that does not restart always end with this code; "never" keeps a Job's pod running. Default for Job and BroadcastJob pods: 0. */
  exitCode: "kruiser.test/exit-code",
  /** Seconds such a container runs. Default 1. */
  runSeconds: "kruiser.test/run-seconds",
} as const;

/** On a node: "true" makes it NotReady, absent makes it Ready again. */
export const nodeDownAnnotation = "kruiser.test/down";

/** The environment variable that marks a sidecar which is ended from outside when the job's main containers are done. */
const sidecarTerminatorEnv = "KRUISE_TERMINATE_SIDECAR_WHEN_JOB_EXIT";

const jqPrelude = `
def unpullable: test(":bad");
def crashing: test(":broken");
def note($key): (.metadata.annotations // {})[$key] // "";
def statusOf($list; $name): ($list // []) | map(select(.name == $name)) | first // {};
def conditionOf($type): (.status.conditions // []) | map(select(.type == $type)) | first // {} | .status // "Unknown";
def settled($c; $s):
  if $c.image | unpullable then ($s.state.waiting.message // "") | contains($c.image)
  elif $s.state.terminated then $s.image == $c.image
  else $s.image == $c.image and ($s.imageID // "") != "" and ($s.state.waiting.reason // "") != "ImagePullBackOff" and ($s.resources // {}) == ($c.resources // {}) end;
def held($c): note("${podAnnotations.neverReady}") as $v | $v == "true" or (($v | split(",")) | index([$c.name])) != null;
def shouldBeReady($c; $s): ($s.state.running != null) and (held($c) | not);
def lasting: [.spec.initContainers[]? | select(.restartPolicy == "Always")];
def pairs: . as $p | [(.spec.containers[] | [., statusOf($p.status.containerStatuses; .name)]), (lasting[] | [., statusOf($p.status.initContainerStatuses; .name)])];
def allReady: all(pairs[]; .[1].ready == true);
def gatesTrue: . as $p | all(.spec.readinessGates[]?; .conditionType as $t | ($p | conditionOf($t)) == "True");
def truth: if . then "True" else "False" end;
def jobLike: any(.metadata.ownerReferences[]?; .kind == "Job" or .kind == "BroadcastJob");
def exitCode: note("${podAnnotations.exitCode}") as $v | if $v != "" then $v elif jobLike then "0" else "never" end;
def mains: [.spec.containers[] | select(any(.env[]?; .name == "${sidecarTerminatorEnv}") | not)];
def ends: . as $p | .spec.restartPolicy != "Always" and exitCode != "never" and any(mains[]; statusOf($p.status.containerStatuses; .name).state.running != null);
def ended: . as $p | .spec.restartPolicy != "Always" and all(.spec.containers[]; statusOf($p.status.containerStatuses; .name).state.terminated != null);
def stage: . as $p
  | if .metadata.deletionTimestamp then (if (.metadata.finalizers // []) == [] then "delete" else "wait" end)
  elif .status.phase == "Succeeded" or .status.phase == "Failed" then "done"
  elif (.status.containerStatuses // []) == [] then "start"
  elif any(pairs[]; settled(.[0]; .[1]) | not) then "restart"
  elif (.spec.ephemeralContainers // []) | length > (($p.status.ephemeralContainerStatuses // []) | length) then "ephemeral-start"
  elif any(.status.ephemeralContainerStatuses[]?; .state.running != null) then "ephemeral-end"
  elif ended then "complete"
  elif any(pairs[]; . as [$c, $s] | $s.ready == true and ($p | shouldBeReady($c; $s) | not)) then "unready"
  elif (allReady | truth) != conditionOf("ContainersReady") or ((allReady and gatesTrue) | truth) != conditionOf("Ready") then "conditions"
  elif any(pairs[]; . as [$c, $s] | $s.ready != true and ($p | shouldBeReady($c; $s))) then "ready"
  elif ends then "exit"
  else "rest" end;
`;

/** Template variables and blocks that several stages share. Go templates with sprig; `.` is the pod. */
const goPrelude = `
{{- $now := Now -}}
{{- $pod := . -}}
{{- $notes := or .metadata.annotations dict -}}
{{- $held := index $notes "${podAnnotations.neverReady}" | default "" -}}
{{- $delayed := ne (index $notes "${podAnnotations.readyDelaySeconds}" | default "0") "0" -}}
{{- $unready := list -}}
{{- $old := dict -}}
{{- range .status.containerStatuses }}{{ $_ := set $old (printf "c/%s" .name) . }}{{ end -}}
{{- range .status.initContainerStatuses }}{{ $_ := set $old (printf "i/%s" .name) . }}{{ end -}}
{{- $conditions := dict -}}
{{- range .status.conditions }}{{ $_ := set $conditions .type . }}{{ end -}}
`;

/** A started container's status. `kind` is "c" or "i" (a lasting init container); counts what is not ready into $unready. */
const containerStatus = (kind: "c" | "i") => `
{{- $was := index $old (printf "${kind}/%s" .name) | default dict -}}
{{- $isHeld := or (eq $held "true") (has .name (splitList "," $held)) -}}
{{- $state := dict -}}
{{- $id := printf "%s@sha256:%s" (regexReplaceAll "(:[^:/@]*)?(@.*)?$" .image "") (trimSuffix "-same" .image | sha256sum) -}}
{{- if contains "@sha256:" .image }}{{ $id = regexReplaceAll ":[^:/@]*@" .image "@" }}{{ end -}}
{{- if regexMatch ":bad" .image -}}
  {{- $message := printf "Back-off pulling image %q" .image -}}
  {{- $state = dict "name" .name "image" ($was.image | default .image) "imageID" ($was.imageID | default "") "containerID" ($was.containerID | default "") "restartCount" ($was.restartCount | default 0) "ready" false "started" false "state" (dict "waiting" (dict "reason" "ImagePullBackOff" "message" $message)) -}}
  {{- if and $was.state $was.state.running }}{{ $_ := set $state "lastState" (dict "terminated" (dict "exitCode" 143 "reason" "Error" "startedAt" $was.state.running.startedAt "finishedAt" $now "containerID" $was.containerID)) }}{{ end -}}
{{- else if and (eq ($was.image | default "") .image) (ne ($was.imageID | default "") "") (ne (dig "state" "waiting" "reason" "" $was) "ImagePullBackOff") -}}
  {{- $state = merge (dict "resources" (.resources | default dict)) $was -}}
{{- else -}}
  {{- $count := 0 -}}
  {{- if $was.imageID }}{{ $count = add ($was.restartCount | int) 1 }}{{ end -}}
  {{- $containerID := printf "containerd://%s" (printf "%s/%s/%d" $pod.metadata.uid .name $count | sha256sum) -}}
  {{- $state = dict "name" .name "image" .image "imageID" $id "containerID" $containerID "restartCount" $count "ready" (not (or $isHeld $delayed)) "started" true "state" (dict "running" (dict "startedAt" $now)) "resources" (.resources | default dict) -}}
  {{- if and $was.state $was.state.running }}{{ $_ := set $state "lastState" (dict "terminated" (dict "exitCode" 0 "reason" "Completed" "startedAt" $was.state.running.startedAt "finishedAt" $now "containerID" $was.containerID)) }}{{ end -}}
  {{- if regexMatch ":broken" .image -}}
    {{- $_ := set $state "ready" false -}}{{- $_ := set $state "started" false -}}
    {{- $_ := set $state "state" (dict "waiting" (dict "reason" "CrashLoopBackOff" "message" (printf "back-off restarting failed container=%s" .name))) -}}
    {{- $_ := set $state "lastState" (dict "terminated" (dict "exitCode" 1 "reason" "Error" "startedAt" $now "finishedAt" $now "containerID" $containerID)) -}}
  {{- end -}}
{{- end -}}
{{- if not $state.ready }}{{ $unready = append $unready .name }}{{ end -}}
`;

/** Both lists of statuses, recomputed for every container. */
const statusesOf = (change: string) => `
{{- $statuses := list -}}
{{- range .spec.containers -}}${containerStatus("c")}${change}{{- $statuses = append $statuses $state -}}{{- end -}}
{{- $initStatuses := list -}}
{{- range .spec.initContainers -}}
{{- if eq (.restartPolicy | default "") "Always" -}}${containerStatus("i")}${change}{{- $initStatuses = append $initStatuses $state -}}
{{- else -}}
{{- $was := index $old (printf "i/%s" .name) | default dict -}}
{{- if $was.imageID -}}{{- $initStatuses = append $initStatuses $was -}}
{{- else -}}
{{- $id := printf "%s@sha256:%s" (regexReplaceAll "(:[^:/@]*)?(@.*)?$" .image "") (sha256sum .image) -}}
{{- $initStatuses = append $initStatuses (dict "name" .name "image" .image "imageID" $id "containerID" (printf "containerd://%s" (printf "%s/%s" $pod.metadata.uid .name | sha256sum)) "restartCount" 0 "ready" true "started" false "state" (dict "terminated" (dict "exitCode" 0 "reason" "Completed" "startedAt" $now "finishedAt" $now))) -}}
{{- end -}}
{{- end -}}
{{- end }}
containerStatuses: {{ toJson $statuses }}
{{ if $initStatuses }}initContainerStatuses: {{ toJson $initStatuses }}{{ end }}
`;

/** ContainersReady and Ready from $unready and the readiness gates, worded as the kubelet words them. */
const readyConditions = `
{{- $containersMessage := "" -}}
{{- if $unready }}{{ $containersMessage = printf "containers with unready status: [%s]" (join " " $unready) }}{{ end -}}
{{- $gateMessages := list -}}
{{- range .spec.readinessGates -}}
{{- $condition := index $conditions .conditionType -}}
{{- if not $condition -}}{{- $gateMessages = append $gateMessages (printf "corresponding condition of pod readiness gate %q does not exist." .conditionType) -}}
{{- else if ne $condition.status "True" -}}{{- $gateMessages = append $gateMessages (printf "the status of pod readiness gate %q is not \\"True\\", but %s" .conditionType $condition.status) -}}{{- end -}}
{{- end -}}
{{- $containersReady := ternary "False" "True" (gt (len $unready) 0) -}}
{{- $ready := ternary "True" "False" (and (eq $containersReady "True") (eq (len $gateMessages) 0)) }}
- type: ContainersReady
  status: {{ $containersReady | Quote }}
  reason: {{ ternary "" "ContainersNotReady" (eq $containersReady "True") | Quote }}
  message: {{ $containersMessage | Quote }}
  lastProbeTime: null
  lastTransitionTime: {{ ternary (dig "ContainersReady" "lastTransitionTime" $now $conditions) $now (eq (dig "ContainersReady" "status" "" $conditions) $containersReady) | Quote }}
- type: Ready
  status: {{ $ready | Quote }}
  reason: {{ ternary "" (ternary "ContainersNotReady" "ReadinessGatesNotReady" (gt (len $unready) 0)) (eq $ready "True") | Quote }}
  message: {{ ternary $containersMessage (join ", " $gateMessages) (gt (len $unready) 0) | Quote }}
  lastProbeTime: null
  lastTransitionTime: {{ ternary (dig "Ready" "lastTransitionTime" $now $conditions) $now (eq (dig "Ready" "status" "" $conditions) $ready) | Quote }}
`;

const onceTrue = (type: string) => `
- type: ${type}
  status: "True"
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}`;

const startStatus = `${goPrelude}
${statusesOf("")}
conditions:${onceTrue("PodReadyToStartContainers")}${onceTrue("Initialized")}
${readyConditions}
{{- $hostIPs := NodeIPsWith .spec.nodeName -}}
{{- $podIPs := PodIPsWith .spec.nodeName (or .spec.hostNetwork false) (or .metadata.uid "") (or .metadata.name "") (or .metadata.namespace "") }}
hostIP: {{ index $hostIPs 0 | Quote }}
hostIPs:
{{ range $hostIPs }}
- ip: {{ . | Quote }}
{{ end }}
podIP: {{ index $podIPs 0 | Quote }}
podIPs:
{{ range $podIPs }}
- ip: {{ . | Quote }}
{{ end }}
{{- $pulled := true -}}
{{- range .spec.containers }}{{ if regexMatch ":bad" .image }}{{ $pulled = false }}{{ end }}{{ end }}
phase: {{ ternary "Running" "Pending" $pulled }}
startTime: {{ $now | Quote }}
qosClass: {{ .status.qosClass | default "BestEffort" }}
`;

const restartStatus = `${goPrelude}
${statusesOf("")}
{{- $started := true -}}
{{- range $statuses }}{{ if not .imageID }}{{ $started = false }}{{ end }}{{ end }}
conditions:
${readyConditions}
phase: {{ ternary "Running" "Pending" $started }}
`;

/** Sets readiness of running containers: to true where nothing holds them, or to false where something does. */
const readinessStatus = `${goPrelude}
${statusesOf(`
{{- if $state.state.running -}}
  {{- $_ := set $state "ready" (not $isHeld) -}}
  {{- $unready = without $unready .name -}}
  {{- if $isHeld }}{{ $unready = append $unready .name }}{{ end -}}
{{- end -}}`)}
conditions:
${readyConditions}
`;

const conditionsStatus = `${goPrelude}
{{- range .status.containerStatuses }}{{ if not .ready }}{{ $unready = append $unready .name }}{{ end }}{{ end -}}
{{- range .spec.initContainers -}}{{- if eq (.restartPolicy | default "") "Always" -}}
{{- $was := index $old (printf "i/%s" .name) | default dict -}}{{- if not $was.ready }}{{ $unready = append $unready .name }}{{ end -}}
{{- end -}}{{- end }}
conditions:
${readyConditions}
`;

const exitStatus = `${goPrelude}
{{- $code := index $notes "${podAnnotations.exitCode}" | default "0" | int -}}
{{- $sidecars := list -}}
{{- range .spec.containers }}{{ $name := .name }}{{ range .env }}{{ if eq .name "${sidecarTerminatorEnv}" }}{{ $sidecars = append $sidecars $name }}{{ end }}{{ end }}{{ end -}}
{{- $statuses := list -}}
{{- range .status.containerStatuses -}}
{{- if and .state.running (not (has .name $sidecars)) -}}
{{- $statuses = append $statuses (merge (dict "ready" false "started" false "state" (dict "terminated" (dict "exitCode" $code "reason" (ternary "Completed" "Error" (eq $code 0)) "startedAt" .state.running.startedAt "finishedAt" $now "containerID" .containerID))) (omit . "state")) -}}
{{- else }}{{ $statuses = append $statuses . }}{{ end -}}
{{- end -}}
{{- range $statuses }}{{ if not .ready }}{{ $unready = append $unready .name }}{{ end }}{{ end }}
containerStatuses: {{ toJson $statuses }}
conditions:
${readyConditions}
`;

const completeStatus = `${goPrelude}
{{- $failed := false -}}
{{- range .status.containerStatuses }}{{ if ne (dig "state" "terminated" "exitCode" 0 . | int) 0 }}{{ $failed = true }}{{ end }}{{ end }}
phase: {{ ternary "Failed" "Succeeded" $failed }}
conditions:
- type: Ready
  status: "False"
  reason: PodCompleted
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}
- type: ContainersReady
  status: "False"
  reason: PodCompleted
  lastProbeTime: null
  lastTransitionTime: {{ $now | Quote }}
`;

const ephemeralStatus = (ended: boolean) => `${goPrelude}
{{- $was := dict -}}
{{- range .status.ephemeralContainerStatuses }}{{ $_ := set $was .name . }}{{ end }}
ephemeralContainerStatuses:
{{ range .spec.ephemeralContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  {{- if regexMatch ":bad" .image }}
  imageID: ""
  restartCount: 0
  ready: false
  state:
    waiting:
      reason: ImagePullBackOff
      message: {{ printf "Back-off pulling image %q" .image | Quote }}
  {{- else }}
  imageID: {{ printf "%s@sha256:%s" (regexReplaceAll "(:[^:/@]*)?(@.*)?$" .image "") (sha256sum .image) | Quote }}
  containerID: {{ printf "containerd://%s" (printf "%s/%s" $pod.metadata.uid .name | sha256sum) | Quote }}
  restartCount: 0
  ready: false
  state:
    ${
      ended
        ? `terminated:
      exitCode: {{ ternary 1 0 (regexMatch ":broken" .image) }}
      reason: {{ ternary "Error" "Completed" (regexMatch ":broken" .image) }}
      startedAt: {{ dig .name "state" "running" "startedAt" $now $was | Quote }}
      finishedAt: {{ $now | Quote }}`
        : `{{- $end := dig .name "state" "terminated" "" $was -}}
    {{- if $end }}
    terminated: {{ toJson $end }}
    {{- else }}
    running:
      startedAt: {{ $now | Quote }}
    {{- end }}`
    }
  {{- end }}
{{ end }}
`;

interface Step {
  readonly patch?: { readonly subresource: string; readonly type: string; readonly template: string };
  readonly delete?: boolean;
}

/** The patch names the version it was computed from: a pod that changed meanwhile is looked at again instead of being overwritten. */
const statusPatch = (template: string): Step => ({
  patch: {
    subresource: "status",
    type: "strategic",
    template: `metadata:\n  resourceVersion: {{ .metadata.resourceVersion | Quote }}\nstatus:\n${indented(template)}`,
  },
});

/** Indents every line; whitespace inside template actions does not matter. */
function indented(template: string): string {
  return template
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}

const secondsFrom = (annotation: string, defaultSeconds: number) => ({
  durationMilliseconds: defaultSeconds * 1_000,
  durationFrom: { expressionFrom: `(.metadata.annotations // {})["${annotation}"] | select(. != null) | . + "s"` },
});

const podStage = (name: string, step: Step, delay?: unknown) => ({
  apiVersion: "kwok.x-k8s.io/v1alpha1",
  kind: "Stage",
  metadata: { name: `pod-${name}` },
  spec: {
    resourceRef: { apiGroup: "v1", kind: "Pod" },
    selector: { matchExpressions: [{ key: `${jqPrelude} stage`, operator: "In", values: [name] }] },
    ...(delay === undefined ? {} : { delay }),
    steps: [step],
  },
});

const podStages = [
  podStage("start", statusPatch(startStatus), secondsFrom(podAnnotations.startDelaySeconds, 0)),
  podStage("restart", statusPatch(restartStatus)),
  podStage("unready", statusPatch(readinessStatus)),
  podStage("ready", statusPatch(readinessStatus), secondsFrom(podAnnotations.readyDelaySeconds, 0)),
  podStage("conditions", statusPatch(conditionsStatus)),
  podStage("ephemeral-start", statusPatch(ephemeralStatus(false))),
  podStage("ephemeral-end", statusPatch(ephemeralStatus(true)), { durationMilliseconds: 1_000 }),
  podStage("exit", statusPatch(exitStatus), secondsFrom(podAnnotations.runSeconds, 1)),
  podStage("complete", statusPatch(completeStatus)),
  podStage("delete", { delete: true }, secondsFrom(podAnnotations.deleteDelaySeconds, 0)),
];

const nodeStatus = (ready: boolean) => `
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- type: {{ .type | Quote }}
  status: {{ ${ready ? ".status" : `ternary "False" .status (eq .type "Ready")`} | Quote }}
  reason: {{ ${ready ? ".reason" : `ternary "KubeletNotReady" .reason (eq .type "Ready")`} | Quote }}
  message: {{ ${ready ? ".message" : `ternary "the test took this node down" .message (eq .type "Ready")`} | Quote }}
  lastHeartbeatTime: {{ $now | Quote }}
  lastTransitionTime: {{ $now | Quote }}
{{ end }}
addresses:
- address: {{ NodeIP | Quote }}
  type: InternalIP
- address: {{ NodeName | Quote }}
  type: Hostname
nodeInfo:
  architecture: amd64
  bootID: ""
  containerRuntimeVersion: kwok
  kernelVersion: kwok
  kubeProxyVersion: kwok
  kubeletVersion: v1.34.4
  machineID: ""
  operatingSystem: linux
  osImage: kwok
  systemUUID: ""
phase: Running
`;

const nodeStage = (name: string, when: readonly { key: string; operator: string; values: string[] }[], template: string) => ({
  apiVersion: "kwok.x-k8s.io/v1alpha1",
  kind: "Stage",
  metadata: { name: `node-${name}` },
  spec: {
    resourceRef: { apiGroup: "v1", kind: "Node" },
    selector: { matchExpressions: when },
    steps: [{ patch: { subresource: "status", root: "status", type: "strategic", template } }],
  },
});

const nodeReady = `(.status.conditions // []) | map(select(.type == "Ready")) | first // {} | .status // "Unknown"`;
const nodeDown = `(.metadata.annotations // {})["${nodeDownAnnotation}"] // "" | tostring`;

const nodeStages = [
  nodeStage(
    "up",
    [
      { key: nodeDown, operator: "NotIn", values: ["true"] },
      { key: nodeReady, operator: "NotIn", values: ["True"] },
    ],
    nodeStatus(true),
  ),
  nodeStage(
    "down",
    [
      { key: nodeDown, operator: "In", values: ["true"] },
      { key: nodeReady, operator: "NotIn", values: ["False"] },
    ],
    nodeStatus(false),
  ),
];

/** kwok's `--config` file: JSON documents, which are YAML too. */
export function kwokConfig(): string {
  const tuning = {
    apiVersion: "config.kwok.x-k8s.io/v1alpha1",
    kind: "KwokConfiguration",
    metadata: { name: "kwok" },
    options: { podPlayStageParallelism: 16, nodePlayStageParallelism: 4, nodeLeaseParallelism: 4 },
  };
  return [tuning, ...nodeStages, ...podStages].map((document) => JSON.stringify(document, null, 1)).join("\n---\n");
}

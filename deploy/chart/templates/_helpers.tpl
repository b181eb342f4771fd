{{/* Labels of every object. */}}
{{- define "kruise.labels" -}}
app.kubernetes.io/name: kruise
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.extraLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kruise.aggregateLabels" -}}
{{ include "kruise.labels" (index . 0) }}
rbac.authorization.k8s.io/aggregate-to-{{ index . 1 }}: "true"
{{- end -}}

{{- define "kruise.crdAnnotations" -}}
{{- $annotations := dict -}}
{{- if .Values.crds.keep }}{{- $_ := set $annotations "helm.sh/resource-policy" "keep" }}{{- end -}}
{{- $annotations = merge $annotations .Values.externalCerts.annotations -}}
{{- toYaml $annotations -}}
{{- end -}}

{{/* Argument: the weight. */}}
{{- define "kruise.hookAnnotations" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* Arguments: context, the part's own image values. What they leave out is the manager's. */}}
{{- define "kruise.image" -}}
{{- $ctx := index . 0 -}}
{{- $own := index . 1 -}}
{{- $manager := $ctx.Values.manager.image -}}
{{- $repository := default $manager.repository $own.repository -}}
{{- $tag := default (default (printf "v%s" $ctx.Chart.AppVersion) $manager.tag) $own.tag -}}
{{- $digest := $own.digest -}}
{{- if and (not $digest) (not $own.repository) (not $own.tag) }}{{- $digest = $manager.digest }}{{- end -}}
{{- $repository }}:{{ $tag }}{{ with $digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* Arguments: context, the part's own image values. */}}
{{- define "kruise.pullPolicy" -}}
{{- $ctx := index . 0 -}}
{{- default $ctx.Values.manager.image.pullPolicy (index . 1).pullPolicy -}}
{{- end -}}

{{/* A map of flags as arguments, in the order of their names. Whole numbers arrive as floats. */}}
{{- define "kruise.flags" -}}
{{- range $name, $value := . }}
- --{{ $name }}={{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ $value }}{{ end }}
{{- end }}
{{- end -}}

{{- define "kruise.daemonEnabled" -}}
{{- and .Values.daemon.enabled (eq (include "kruise.gate" (list . "KruiseDaemon")) "true") -}}
{{- end -}}

{{- define "kruise.daemonPolicy" -}}
{{- and (eq (include "kruise.daemonEnabled" .) "true") .Values.daemon.admissionPolicy.enabled (.Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy") -}}
{{- end -}}

{{/* Arguments: context, name of the webhook, its own policy. */}}
{{- define "kruise.failurePolicy" -}}
{{- $webhooks := (index . 0).Values.webhookConfiguration -}}
{{- $name := index . 1 -}}
{{- if hasKey $webhooks.failurePolicies $name }}{{ get $webhooks.failurePolicies $name }}{{ else }}{{ default (index . 2) $webhooks.failurePolicy }}{{ end -}}
{{- end -}}

{{/* Arguments: context, the webhook's own requirements as JSON. */}}
{{- define "kruise.namespaceSelector" -}}
{{- $ctx := index . 0 -}}
{{- $expressions := index . 1 | replace "INSTALL_NAMESPACE" $ctx.Values.installation.namespace | fromJsonArray -}}
{{- $webhooks := $ctx.Values.webhookConfiguration -}}
{{- if and (contains "control-plane" (index . 1)) $webhooks.excludedNamespaces }}
{{- $expressions = append $expressions (dict "key" "kubernetes.io/metadata.name" "operator" "NotIn" "values" $webhooks.excludedNamespaces) }}
{{- end -}}
{{- if $webhooks.aksIntegration }}
{{- $expressions = append $expressions (dict "key" "control-plane" "operator" "NotIn" "values" (list "true")) }}
{{- $expressions = append $expressions (dict "key" "kubernetes.azure.com/managedby" "operator" "NotIn" "values" (list "aks")) }}
{{- end -}}
{{- if $expressions }}matchExpressions: {{- toYaml $expressions | nindent 2 }}{{ else }}{}{{ end -}}
{{- end -}}

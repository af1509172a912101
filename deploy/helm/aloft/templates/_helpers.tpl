{{/* A name that every object begins with. */}}
{{- define "aloft.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The services, and what each has: `grpc`, `bus`, `blob`; `consumes`: its consumer groups and what each reads (KEDA's triggers).
*/}}
{{- define "aloft.services" -}}
admin: { grpc: true, bus: true, blob: true, consumes: [{ group: admin-projection, topic: executions.events }] }
propeller: { grpc: true, bus: true, blob: true, consumes: [{ group: propeller, topic: executions.commands }, { group: propeller, topic: tasks.reports }] }
catalog: { grpc: true }
notifier: { bus: true, consumes: [{ group: notifier, topic: executions.events }] }
backends: { bus: true, blob: true, work: true, consumes: {{ include "aloft.backends" . | fromJsonArray | toJson }} }
{{- end -}}

{{/* The backends that `backends.config` enables, as JSON: each reads its own commands in a group of its own. */}}
{{- define "aloft.backends" -}}
{{- $config := default dict .Values.backends.config.backends -}}
{{- $local := default dict $config.local -}}
{{- $names := list -}}
{{- if ne (toString $local.enabled) "false" }}{{ $names = append $names "local" }}{{ end -}}
{{- if (default dict $config.connector).servers }}{{ $names = append $names "connector" }}{{ end -}}
{{- if (default dict $config.awsBatch).queues }}{{ $names = append $names "aws-batch" }}{{ end -}}
{{- if (default dict $config.kubernetes).clusters }}{{ $names = append $names "kubernetes" }}{{ end -}}
{{- range $name := keys (default dict $config.plugins) | sortAlpha }}{{ $names = append $names $name }}{{ end -}}
{{- $found := list -}}
{{- range $names }}{{ $found = append $found (dict "group" . "topic" (printf "tasks.commands.%s" .)) }}{{ end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "aloft.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "aloft.labels" -}}
{{ include "aloft.selector" . }}
app.kubernetes.io/part-of: aloft
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "aloft.image" -}}
{{- $image := .root.Values.image -}}
{{- if $image.registry }}{{ trimSuffix "/" $image.registry }}/{{ end }}{{ $image.prefix }}{{ .name }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- end -}}

{{- define "aloft.serviceAccountName" -}}
{{- $account := (index .root.Values .name).serviceAccount -}}
{{- if $account.name }}{{ $account.name }}{{ else if $account.create }}{{ include "aloft.fullname" .root }}-{{ .name }}{{ else }}default{{ end }}
{{- end -}}

{{/* A gRPC target that calls go round robin over: all ready pods behind a headless Service. */}}
{{- define "aloft.target" -}}
{{- printf "dns:///%s-%s-pods.%s.svc.%s:8089" (include "aloft.fullname" .root) .name .root.Release.Namespace .root.Values.clusterDomain -}}
{{- end -}}

{{/* A setting of all pods that a service may have its own of, as YAML. */}}
{{- define "aloft.podSetting" -}}
{{- $own := index .root.Values .name -}}
{{- if hasKey $own .key }}{{ toYaml (index $own .key) }}{{ else }}{{ toYaml (index .root.Values.pods .key) }}{{ end }}
{{- end -}}

{{/* The pod's and the container's security contexts: the same everywhere. */}}
{{- define "aloft.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "aloft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end -}}

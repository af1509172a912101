{{/* A service's configuration file, without secrets: those are variables (aloft.env). */}}
{{- define "aloft.config" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .name -}}
{{- $config := dict
  "logLevel" $values.logLevel
  "http" (dict "host" "0.0.0.0" "port" 8088)
  "telemetry" (dict "sampleRatio" $values.telemetry.sampleRatio)
  "shutdown" (dict "drainDelayMs" 0 "graceMs" (mul $own.drain.graceSeconds 1000 | int))
  "database" (dict "poolSize" ($own.database.poolSize | int) "migrations" "check")
-}}
{{- with $values.telemetry.otlpEndpoint }}{{ $_ := set $config.telemetry "otlpEndpoint" . }}{{ end -}}
{{- if .parts.grpc }}{{ $_ := set $config "grpc" (dict "host" "0.0.0.0" "port" 8089) }}{{ end -}}
{{- if .parts.bus }}{{ $_ := set $config "bus" (include "aloft.busConfig" .root | fromYaml) }}{{ end -}}
{{- if .parts.blob }}
{{- $blob := dict "bucket" $values.blob.bucket "region" $values.blob.region -}}
{{- with $values.blob.endpoint }}{{ $_ := set $blob "endpoint" . }}{{ end -}}
{{- with $values.blob.publicEndpoint }}{{ $_ := set $blob "publicEndpoint" . }}{{ end -}}
{{- $_ := set $config "blob" $blob -}}
{{- end -}}
{{- $admin := include "aloft.target" (dict "root" .root "name" "admin") -}}
{{- if has .name (list "propeller" "notifier") }}{{ $_ := set $config "adminAddress" $admin }}{{ end -}}
{{- if eq .name "admin" -}}
{{- $_ := set $config "propellerAddress" (include "aloft.target" (dict "root" .root "name" "propeller")) -}}
{{- end -}}
{{- if eq .name "propeller" -}}
{{- $_ := set $config "catalogAddress" (include "aloft.target" (dict "root" .root "name" "catalog")) -}}
{{- end -}}
{{- if eq .name "notifier" }}{{ $_ := set $config "notifier" (dict "publicUrl" $values.publicUrl) }}{{ end -}}
{{- if eq .name "backends" -}}
{{- $_ := set $config "dataDir" "/var/lib/aloft" -}}
{{- $_ := set $config "publicUrl" $values.publicUrl -}}
{{- $_ := set $config "platformAddress" $admin -}}
{{- end -}}
{{- toYaml (mergeOverwrite $config (deepCopy $own.config)) -}}
{{- end -}}

{{- define "aloft.busConfig" -}}
{{- $bus := .Values.bus -}}
driver: {{ $bus.driver }}
partitions: {{ $bus.partitions | int }}
{{- if eq $bus.driver "kafka" }}
kafka:
  brokers: {{ toJson $bus.kafka.brokers }}
  topicPrefix: {{ $bus.kafka.topicPrefix | quote }}
  replicationFactor: {{ $bus.kafka.replicationFactor | int }}
  minInSyncReplicas: {{ $bus.kafka.minInSyncReplicas | int }}
  retentionMs: {{ $bus.kafka.retentionMs | int64 }}
  createTopics: {{ $bus.kafka.createTopics }}
  tls:
    enabled: {{ $bus.kafka.tls.enabled }}
    {{- if $bus.kafka.tls.existingSecret }}
    caFile: /etc/aloft/kafka/ca.crt
    {{- if $bus.kafka.tls.clientCertificate }}
    certFile: /etc/aloft/kafka/tls.crt
    keyFile: /etc/aloft/kafka/tls.key
    {{- end }}
    {{- end }}
  {{- with $bus.kafka.sasl.mechanism }}
  sasl:
    mechanism: {{ . }}
    {{- with $bus.kafka.sasl.region }}
    region: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Secrets, by reference. */}}
{{- define "aloft.env" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .name -}}
- name: ALOFT_CONFIG
  value: {{ .file }}
- name: HOME
  value: /tmp
{{- with $values.trustedAuthorities }}
{{- if .configMap }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/aloft/authorities/{{ .key }}
{{- end }}
{{- end }}
- name: ALOFT_DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ $own.database.existingSecret }}, key: {{ $own.database.key }} } }
{{- if .parts.bus }}
{{- if eq $values.bus.driver "postgres" }}
- name: ALOFT_BUS_POSTGRES_URL
  valueFrom: { secretKeyRef: { name: {{ $values.bus.postgres.existingSecret }}, key: {{ $values.bus.postgres.key }} } }
{{- else if $values.bus.kafka.sasl.existingSecret }}
- name: ALOFT_BUS_KAFKA_SASL_USERNAME
  valueFrom: { secretKeyRef: { name: {{ $values.bus.kafka.sasl.existingSecret }}, key: username } }
- name: ALOFT_BUS_KAFKA_SASL_PASSWORD
  valueFrom: { secretKeyRef: { name: {{ $values.bus.kafka.sasl.existingSecret }}, key: password } }
{{- end }}
{{- end }}
{{- if and .parts.blob $values.blob.existingSecret }}
- name: ALOFT_BLOB_ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ $values.blob.existingSecret }}, key: accessKeyId } }
- name: ALOFT_BLOB_SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ $values.blob.existingSecret }}, key: secretAccessKey } }
{{- end }}
{{- end -}}

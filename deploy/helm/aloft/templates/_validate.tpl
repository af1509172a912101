{{/* What no JSON schema can say: settings that need one another. */}}
{{- define "aloft.validate" -}}
{{- $bus := .Values.bus -}}
{{- $kafka := $bus.kafka -}}
{{- if eq $bus.driver "kafka" -}}
{{- if not $kafka.brokers }}{{ fail "bus.kafka.brokers is empty: give the brokers as [host:port, …], or set bus.driver to postgres" }}{{ end -}}
{{- if gt ($kafka.minInSyncReplicas | int) ($kafka.replicationFactor | int) }}{{ fail "bus.kafka.minInSyncReplicas is more than bus.kafka.replicationFactor: no message could ever be written" }}{{ end -}}
{{- if eq $kafka.sasl.mechanism "aws-iam" -}}
{{- if not $kafka.sasl.region }}{{ fail "bus.kafka.sasl.mechanism is aws-iam: set bus.kafka.sasl.region to the MSK cluster's region" }}{{ end -}}
{{- if not $kafka.tls.enabled }}{{ fail "bus.kafka.sasl.mechanism is aws-iam, which MSK offers over TLS only (port 9098): set bus.kafka.tls.enabled" }}{{ end -}}
{{- else if and $kafka.sasl.mechanism (not $kafka.sasl.existingSecret) -}}
{{- fail (printf "bus.kafka.sasl.mechanism is %s: name the Secret with `username` and `password` in bus.kafka.sasl.existingSecret" $kafka.sasl.mechanism) -}}
{{- else if and $kafka.sasl.existingSecret (not $kafka.sasl.mechanism) -}}
{{- fail "bus.kafka.sasl.existingSecret is set without a mechanism: set bus.kafka.sasl.mechanism" -}}
{{- end -}}
{{- if and $kafka.tls.clientCertificate (not $kafka.tls.existingSecret) }}{{ fail "bus.kafka.tls.clientCertificate needs bus.kafka.tls.existingSecret, a Secret with ca.crt, tls.crt and tls.key" }}{{ end -}}
{{- else if not $bus.postgres.existingSecret -}}
{{- fail "bus.driver is postgres: name the Secret with the URL of the role aloft_bus in bus.postgres.existingSecret" -}}
{{- end -}}
{{- range $name, $parts := include "aloft.services" . | fromYaml -}}
{{- $own := index $.Values $name -}}
{{- $scaling := $own.autoscaling -}}
{{- if gt ($scaling.minReplicas | int) ($scaling.maxReplicas | int) }}{{ fail (printf "%s.autoscaling.minReplicas is more than maxReplicas" $name) }}{{ end -}}
{{- if and (eq $scaling.kind "keda") (ne $bus.driver "kafka") }}{{ fail (printf "%s.autoscaling.kind is keda, which scales on Kafka's lag, but bus.driver is %s: use hpa" $name $bus.driver) }}{{ end -}}
{{- range $path := list "database.url" "bus.kafka.sasl.password" "bus.postgres.url" "blob.secretAccessKey" -}}
{{- $at := $own.config -}}
{{- range $key := splitList "." $path }}{{ if kindIs "map" $at }}{{ $at = get $at $key }}{{ end }}{{ end -}}
{{- if and $at (kindIs "string" $at) }}{{ fail (printf "%s.config.%s would put a secret into a ConfigMap: put it into a Secret and name that (see values.yaml)" $name $path) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

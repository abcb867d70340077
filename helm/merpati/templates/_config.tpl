{{/* The configuration file of each service (docs/operations.md). Secrets are files or variables, never in it. */}}

{{/* merpati.databaseConfig (list ROOT NAME) */}}
{{- define "merpati.databaseConfig" -}}
dsn_file: /etc/merpati/secrets/{{ index . 1 }}-dsn
{{- if (index . 0).Values.database.sessionDsn }}
session_dsn_file: /etc/merpati/secrets/{{ index . 1 }}-session-dsn
{{- end }}
{{- end -}}

{{/* merpati.objectsConfig (list ROOT COMPONENT) */}}
{{- define "merpati.objectsConfig" -}}
{{- $objects := (include "merpati.store" . | fromYaml).objects -}}
{{- $root := index . 0 -}}
s3:
  {{- if $root.Values.evaluation.enabled }}
  endpoint: http://{{ include "merpati.fullname" $root }}-objects:7070
  {{- else }}
  endpoint: {{ $objects.endpoint | quote }}
  {{- end }}
  bucket: {{ $objects.bucket | quote }}
  region: {{ $objects.region | quote }}
  path_style: {{ $objects.pathStyle }}
  {{- with $objects.prefix }}
  prefix: {{ . | quote }}
  {{- end }}
  {{- if $objects.caSecret }}
  ca_file: /etc/merpati/secrets/objects-ca
  {{- end }}
{{- end -}}

{{/* merpati.listeners (dict of the service) */}}
{{- define "merpati.listeners" -}}
{{- range .listeners }}
- name: {{ .name }}
  port: {{ .port }}
  tls: {{ .tls }}
  {{- with .kind }}
  kind: {{ . }}
  {{- end }}
  {{- with $.proxyTrusted }}
  proxy_trusted: {{ toJson . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* merpati.common (list ROOT GRACE LOOPS) */}}
{{- define "merpati.common" -}}
{{- $root := index . 0 -}}
process:
  loops: {{ index . 2 }}
  grace_period: {{ index . 1 }}s
  endpoint_delay: {{ $root.Values.endpointDelay }}s
http: {port: 9090}
trust:
  ca_file: /etc/merpati/tls/ca.crt
  certificate_file: /etc/merpati/tls/tls.crt
  key_file: /etc/merpati/tls/tls.key
  trust_domain: {{ $root.Values.trustDomain | quote }}
{{- end -}}

{{/* The collector of traces, empty where none is named. */}}
{{- define "merpati.collector" -}}{{- (.Values.config.otlp | default dict).endpoint | default "" -}}{{- end -}}

{{/* merpati.config (list ROOT NAME): the whole file. */}}
{{- define "merpati.config" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $table := include "merpati.table" $root | fromYaml -}}
{{- $service := include "merpati.service" . | fromYaml -}}
{{- $config := include "merpati.common" (list $root $service.grace $service.loops) | fromYaml -}}
{{- $peers := dict -}}
{{- $cells := list -}}
{{- range $service.calls -}}
{{- $row := get $table . -}}
{{- $peer := dict "target" (printf "%s:50051" (include "merpati.pods" (list $root . $row.kind))) -}}
{{- if $row.cell -}}
{{- $cells = append $cells (dict "name" $row.cell "store" $peer) -}}
{{- else -}}
{{- $_ := set $peers . $peer -}}
{{- end -}}
{{- end -}}
{{- if $cells -}}{{- $_ := set $peers "cells" $cells -}}{{- end -}}
{{- $_ := set $config "peers" $peers -}}
{{- if include "merpati.collector" $root -}}
{{- $otlp := dict -}}
{{- if $root.Values.otlp.caSecret -}}{{- $_ := set $otlp "ca_file" "/etc/merpati/secrets/otlp-ca" -}}{{- end -}}
{{- if $root.Values.otlp.headersSecret -}}{{- $_ := set $otlp "headers_file" "/etc/merpati/secrets/otlp-headers" -}}{{- end -}}
{{- $_ := set $config "otlp" $otlp -}}
{{- end -}}
{{- $own := dict "grpc" (dict "port" 50051) -}}
{{- if eq $service.kind "edge" -}}
{{- $_ := set $own "hostname" $root.Values.hostname -}}
{{- $_ := set $own "tls" (dict "certificate_file" "/etc/merpati/mail-tls/tls.crt" "key_file" "/etc/merpati/mail-tls/tls.key") -}}
{{- $_ := set $own "listeners" (include "merpati.listeners" $service | fromYamlArray) -}}
{{- end -}}
{{- if $service.database -}}{{- $_ := set $own "database" (include "merpati.databaseConfig" . | fromYaml) -}}{{- end -}}
{{- if $service.objects -}}{{- $_ := set $own "objects" (include "merpati.objectsConfig" . | fromYaml) -}}{{- end -}}
{{- if eq $name "auth" -}}{{- $_ := set $own "master_key_file" "/etc/merpati/secrets/master-key" -}}{{- end -}}
{{- if eq $name "filter" -}}{{- $_ := set $own "authserv_id" $root.Values.hostname -}}{{- end -}}
{{- if eq $name "queue" -}}{{- $_ := set $own "hostname" $root.Values.hostname -}}{{- end -}}
{{- if eq $name "admin" -}}{{- $_ := set $own "bootstrap_token_file" "/etc/merpati/secrets/admin-token" -}}{{- end -}}
{{- with $service.cell -}}{{- $_ := set $own "cell" . -}}{{- end -}}
{{- $_ := set $config $service.role $own -}}
{{- toYaml (mustMergeOverwrite $config (deepCopy $root.Values.config) (dict $service.role (deepCopy $service.config))) -}}
{{- end -}}

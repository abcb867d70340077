{{/* What every pod has. */}}

{{/* Pod Security "restricted", and no token. merpati.podSecurity (list ROOT [UID]) */}}
{{- define "merpati.podSecurity" -}}
{{- $root := index . 0 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
  fsGroupChangePolicy: OnRootMismatch
  {{- if gt (len .) 1 }}
  runAsUser: {{ index . 1 | int }}
  runAsGroup: {{ index . 1 | int }}
  fsGroup: {{ index . 1 | int }}
  {{- else }}
  {{- toYaml $root.Values.podSecurityContext | nindent 2 }}
  {{- end }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "merpati.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A Secret with a certificate, mounted when all of its keys are there: merpati.tlsVolume (list VOLUME SECRET CA) */}}
{{- define "merpati.tlsVolume" -}}
- name: {{ index . 0 }}
  secret:
    secretName: {{ index . 1 }}
    defaultMode: 288
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      {{- if index . 2 }}
      - {key: ca.crt, path: ca.crt}
      {{- end }}
{{- end -}}

{{- define "merpati.mailTlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-mail-tls" (include "merpati.fullname" .)) -}}
{{- end -}}

{{/* Which Secret and key has the connection string: merpati.dsn (list ROOT NAME SUFFIX PATH), an item of a projected volume. */}}
{{- define "merpati.dsn" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $secret := $root.Values.database.existingSecret -}}
{{- $key := $name -}}
{{- if $root.Values.evaluation.enabled -}}
{{- $secret = printf "%s-evaluation" (include "merpati.fullname" $root) -}}
{{- $key = printf "dsn-%s" $name -}}
{{- else if or (eq $name "store") (hasPrefix "store-" $name) -}}
{{- $store := include "merpati.store" (list $root $name) | fromYaml -}}
{{- $secret = $store.database.existingSecret | default $secret -}}
{{- $key = $store.database.key -}}
{{- end -}}
- secret:
    name: {{ $secret }}
    items:
      - {key: {{ $key }}, path: {{ $name }}-dsn}
      {{- if $root.Values.database.sessionDsn }}
      - {key: {{ $key }}-session, path: {{ $name }}-session-dsn}
      {{- end }}
{{- end -}}

{{- define "merpati.waitForSchema" -}}
- name: wait-for-schema
  image: {{ include "merpati.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [merpati, migrate, --wait, --timeout, {{ .Values.migrations.timeout | quote }}, --config, /etc/merpati/merpati.yaml]
  securityContext:
    {{- include "merpati.containerSecurity" . | nindent 4 }}
  resources:
    {{- toYaml .Values.migrations.resources | nindent 4 }}
  volumeMounts:
    - {name: config, mountPath: /etc/merpati/merpati.yaml, subPath: merpati.yaml, readOnly: true}
    - {name: secrets, mountPath: /etc/merpati/secrets, readOnly: true}
{{- end -}}

{{/* Spread, priority and where to run: merpati.scheduling (list ROOT SERVICE) */}}
{{- define "merpati.scheduling" -}}
{{- $root := index . 0 -}}
{{- $service := index . 1 -}}
{{- with $service.spread }}
{{- if .topologyKeys }}
topologySpreadConstraints:
  {{- range .topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: {{ $service.spread.maxSkew }}
    whenUnsatisfiable: {{ $service.spread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "merpati.selector" (list $root $service.name) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end }}
{{- with $service.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $service.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $service.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
